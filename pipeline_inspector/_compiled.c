/* The compiled half of the request path: the slots and the fields of a tape, the sync seam between two layers, what is done
   around a sync chain, and at the end of a request.

   Each does what its Python counterpart does (recording/fields.py, probes/layers.py, middleware.py, probes/server.py) in the
   ordinary case, without a Python frame. Whatever is unusual, such as a request that is no plain object, a slot that is taken or
   a response of an odd shape, is given to the counterpart. Of a request nothing is kept here for the next, save the names and
   kinds of its attributes. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>
#include <time.h>

#ifdef Py_GIL_DISABLED
#error "It relies on the interpreter's lock: a free-threaded Python runs the Python half."
#endif

/* Places in the slots, as in recording/slots.py: stamps first, those of every layer before those of hops; then things, first
   those that mostly are numbers. */
enum { ENTRY, EXIT, HOP_START, HOP_END, STAMPS, OF_EVERY = HOP_START };
enum { ATTRIBUTES_IN, STATUS, HEADERS, ATTRIBUTES_OUT, COOKIES, THINGS, NUMBERED = COOKIES };
enum { STRIDE = STAMPS + THINGS };

/* As in recording/kinds.py. */
enum { HOOK = 4, EVENT_LIMIT = 4000 };

enum {
    N_TAPE, N_HEADERS, N_STORE, N_STATUS_CODE, N_COOKIES, N_VALUE, N_ALL_OF, N_META, N_PATH, N_METHOD, N_RESOLVER_MATCH,
    N_COPY, N_ITEMS, N_POST, N_URLCONF, N_EMPTY, N_PROCESS_VIEW, N_WRAPPED, N_STREAMING, N_CONTAINER, N_CLOSERS,
    N_SENT, N_CALL, N_RECORDING, N_APART, N_CONTROL_VERSION, N_PATH_INFO, N_VERSION, N_SLOTS, N_LEARNING,
    N_WATCHED, N_ROOM, N_WAITING, N_NUMBERS, N_RUNNING, N_INTERFACE, N_WSGI,
    N_DIVERSIONS, N_APPEND, N_ASLEEP, N_WAKE, N_HAND_OVER, N_LEARN, N_ABORT, N_CLOSE, N_FOLLOW_ON, NAMES
};
static const char *const names[NAMES] = {
    "_pipeline_tape", "headers", "_store", "status_code", "cookies", "value", "all_of", "META", "path", "method",
    "resolver_match", "copy", "items", "_post", "urlconf", "", "process_view", "_wrapped", "streaming", "_container", "_resource_closers",
    "sent", "__call__", "recording", "apart", "control_version", "path_info", "version", "slots", "learning",
    "watched", "room", "waiting", "numbers", "running", "interface", "wsgi",
    "diversions", "append", "asleep", "wake", "hand_over", "learn", "abort", "close", "follow_on",
};

typedef struct {
    PyTypeObject *fields, *slots, *way, *function;
    PyObject *sieves, *sieve; /* those that were asked last, and the one that was found */
    PyObject *closing;        /* by thread: the tape whose response is being closed there */
    PyObject *get_ident;      /* threading's, where it tells greenlets apart; NULL: threads are threads */
    PyObject *zero, *one, *hook, *ask_again, *nobody, *nothing, *never;
    PyObject *name[NAMES];
} State;

static struct PyModuleDef module;

/* -- the clock ----------------------------------------------------------------------------------------------------- */

/* What time.perf_counter_ns() gives, pipeline_inspector/clock.py. */
static long long
now(void)
{
#ifdef __linux__
    struct timespec moment;
    clock_gettime(CLOCK_MONOTONIC, &moment);
    return moment.tv_sec * 1000000000LL + moment.tv_nsec;
#elif PY_VERSION_HEX >= 0x030D0000
    PyTime_t moment;
    return PyTime_PerfCounterRaw(&moment) < 0 ? 0 : moment;
#else
    return _PyTime_GetPerfCounter();
#endif
}

/* What time.time_ns() gives. */
static long long
wall_clock(void)
{
#if PY_VERSION_HEX >= 0x030D0000
    PyTime_t moment;
    return PyTime_TimeRaw(&moment) < 0 ? 0 : moment;
#else
    return _PyTime_GetSystemClock();
#endif
}

/* -- pairs --------------------------------------------------------------------------------------------------------- */

/* Names and values by turns, oldest first: what a dict held that was only added to. */
typedef struct {
    PyObject **items; /* NULL: nothing was ever put there */
    Py_ssize_t count, room;
} Pairs;

/* Place for `more` pairs, and a few. It runs nothing of anybody's, nor does adding them. */
static int
pairs_make_room(Pairs *pairs, Py_ssize_t more)
{
    if (pairs->items != NULL && pairs->count + more <= pairs->room)
        return 0;
    Py_ssize_t room = pairs->count + more + 8;
    PyObject **items = PyMem_Realloc(pairs->items, 2 * room * sizeof(PyObject *));
    if (items == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    pairs->items = items;
    pairs->room = room;
    return 0;
}

static int
pairs_add(Pairs *pairs, PyObject *name, PyObject *value)
{
    if (pairs_make_room(pairs, 1) < 0)
        return -1;
    pairs->items[2 * pairs->count] = Py_NewRef(name);
    pairs->items[2 * pairs->count + 1] = Py_NewRef(value);
    pairs->count++;
    return 0;
}

/* Add all that `dict` holds from `position` on. */
static int
pairs_take(Pairs *pairs, PyObject *dict, Py_ssize_t position)
{
    PyObject *name, *value;
    while (PyDict_Next(dict, &position, &name, &value))
        if (pairs_add(pairs, name, value) < 0)
            return -1;
    return 0;
}

/* Let go of all behind the first `count`. */
static void
pairs_cut(Pairs *pairs, Py_ssize_t count)
{
    while (pairs->count > count) {
        pairs->count--;
        PyObject *name = pairs->items[2 * pairs->count], *value = pairs->items[2 * pairs->count + 1];
        Py_DECREF(name);
        Py_DECREF(value);
    }
}

static void
pairs_clear(Pairs *pairs)
{
    pairs_cut(pairs, 0);
    PyMem_Free(pairs->items);
    pairs->items = NULL;
}

/* Put `others` in the place of `pairs`, and let go of these. */
static void
pairs_exchange(Pairs *pairs, Pairs *others)
{
    Pairs before = *pairs;
    *pairs = *others;
    pairs_clear(&before);
}

static int
pairs_visit(Pairs *pairs, visitproc visit, void *arg)
{
    for (Py_ssize_t at = 0; at < 2 * pairs->count; at++)
        Py_VISIT(pairs->items[at]);
    return 0;
}

/* The first `count` of them as a dict. Making one may run the collector, and what that calls may let go of them. */
static PyObject *
pairs_dict(Pairs *pairs, Py_ssize_t count)
{
    PyObject *dict = PyDict_New();
    for (Py_ssize_t at = 0; dict != NULL && at < count && at < pairs->count; at++)
        if (PyDict_SetItem(dict, pairs->items[2 * at], pairs->items[2 * at + 1]) < 0)
            Py_CLEAR(dict);
    return dict;
}

/* Are they the very first that `dict` holds? What follows in it stands from `position` on. */
static int
pairs_begin(Pairs *pairs, PyObject *dict, Py_ssize_t *position)
{
    PyObject *name, *value;
    *position = 0;
    for (Py_ssize_t at = 0; at < pairs->count; at++)
        if (!PyDict_Next(dict, position, &name, &value) || name != pairs->items[2 * at] || value != pairs->items[2 * at + 1])
            return 0;
    return 1;
}

/* -- the slots of a tape ------------------------------------------------------------------------------------------- */

/* What few positions have. */
typedef struct {
    long long hops[STAMPS - OF_EVERY];
    PyObject *things[THINGS]; /* NULL: 0, or the number is with the place */
} Rare;

/* Of each position stamps and small numbers as they are: no object for each, that another thread has to let go of. */
typedef struct {
    long long stamps[OF_EVERY];
    unsigned short numbers[NUMBERED]; /* 0: none. HEADERS: so many of the headers that came, and one, which stand for a dict */
    Rare *rare;                       /* NULL: nothing of that was ever there */
} Place;

typedef struct {
    PyObject_VAR_HEAD
    Pairs headers; /* of the answer, as long as they were only added */
    Place places[1];
} Slots;

static State *
state_of(PyObject *self)
{
    PyObject *found = PyType_GetModuleByDef(Py_TYPE(self), &module);
    return found == NULL ? NULL : PyModule_GetState(found);
}

static int
slots_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    for (Py_ssize_t at = 0; at < Py_SIZE(self); at++) {
        Rare *rare = ((Slots *)self)->places[at].rare;
        for (int thing = 0; rare != NULL && thing < THINGS; thing++)
            Py_VISIT(rare->things[thing]);
    }
    return pairs_visit(&((Slots *)self)->headers, visit, arg);
}

static int
slots_clear(PyObject *self)
{
    for (Py_ssize_t at = 0; at < Py_SIZE(self); at++) {
        Place *place = &((Slots *)self)->places[at];
        memset(place->numbers, 0, sizeof(place->numbers));
        for (int thing = 0; place->rare != NULL && thing < THINGS; thing++)
            Py_CLEAR(place->rare->things[thing]);
    }
    pairs_clear(&((Slots *)self)->headers);
    return 0;
}

static void
slots_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    slots_clear(self);
    for (Py_ssize_t at = 0; at < Py_SIZE(self); at++)
        PyMem_Free(((Slots *)self)->places[at].rare);
    type->tp_free(self);
    Py_DECREF(type);
}

/* A number that is kept as it is, or -1: it is none, or too large. */
static int
small_number(PyObject *thing)
{
    if (!PyLong_CheckExact(thing))
        return -1;
    int overflow;
    long number = PyLong_AsLongAndOverflow(thing, &overflow);
    return overflow || number < 0 || number > 0xFFFF ? -1 : (int)number;
}

static Rare *
rare_of(Place *place)
{
    if (place->rare == NULL && (place->rare = PyMem_Calloc(1, sizeof(Rare))) == NULL)
        PyErr_NoMemory();
    return place->rare;
}

/* Put `value` at `place`. What was there is let go of last: that may run anybody's code. */
static int
put(Place *place, int thing, PyObject *value)
{
    int number = small_number(value), as_number = number == 0 || (number > 0 && thing < NUMBERED && thing != HEADERS);
    if (!as_number && rare_of(place) == NULL)
        return -1;
    if (thing < NUMBERED)
        place->numbers[thing] = as_number ? number : 0;
    if (place->rare != NULL)
        Py_XSETREF(place->rare->things[thing], as_number ? NULL : Py_NewRef(value));
    return 0;
}

static int
set_place(PyObject *self, Py_ssize_t number, PyObject *value)
{
    Place *place = &((Slots *)self)->places[number / STRIDE];
    int at = number % STRIDE;
    if (at >= STAMPS)
        return put(place, at - STAMPS, value);
    long long stamp = PyLong_AsLongLong(value);
    if (stamp == -1 && PyErr_Occurred())
        return -1;
    if (at < OF_EVERY)
        place->stamps[at] = stamp;
    else if (stamp != 0 || place->rare != NULL) {
        if (rare_of(place) == NULL)
            return -1;
        place->rare->hops[at - OF_EVERY] = stamp;
    }
    return 0;
}

/* Slots(values): a list, STRIDE for each position. */
static PyObject *
slots_of(PyTypeObject *type, PyObject *values)
{
    Py_ssize_t positions = PyList_GET_SIZE(values) / STRIDE;
    if (positions * STRIDE != PyList_GET_SIZE(values))
        return PyErr_Format(PyExc_ValueError, "%zd slots: there are %d for each position", PyList_GET_SIZE(values), STRIDE);
    PyObject *self = type->tp_alloc(type, positions);
    for (Py_ssize_t at = 0; self != NULL && at < PyList_GET_SIZE(values); at++)
        if (set_place(self, at, PyList_GET_ITEM(values, at)) < 0)
            Py_CLEAR(self);
    return self;
}

static PyObject *
slots_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(keywords))
{
    PyObject *values;
    return PyArg_ParseTuple(args, "O!:Slots", &PyList_Type, &values) ? slots_of(type, values) : NULL;
}

/* Slots with the same in them. */
static PyObject *
slots_like(PyObject *template)
{
    PyTypeObject *type = Py_TYPE(template);
    for (Py_ssize_t at = 0; at < Py_SIZE(template); at++) {
        Place *place = &((Slots *)template)->places[at];
        if (place->rare != NULL || place->numbers[HEADERS] > 0) {
            PyObject *values = PySequence_List(template), *self = values == NULL ? NULL : slots_of(type, values);
            Py_XDECREF(values);
            return self;
        }
    }
    PyObject *self = type->tp_alloc(type, Py_SIZE(template));
    if (self != NULL)
        memcpy(((Slots *)self)->places, ((Slots *)template)->places, Py_SIZE(template) * sizeof(Place));
    return self;
}

static Py_ssize_t
slots_length(PyObject *self)
{
    return Py_SIZE(self) * STRIDE;
}

static PyObject *
slots_item(PyObject *self, Py_ssize_t number)
{
    if (number < 0 || number >= slots_length(self))
        return PyErr_Format(PyExc_IndexError, "there is no slot %zd", number);
    Place *place = &((Slots *)self)->places[number / STRIDE];
    int at = number % STRIDE;
    if (at < OF_EVERY)
        return PyLong_FromLongLong(place->stamps[at]);
    if (at < STAMPS)
        return PyLong_FromLongLong(place->rare == NULL ? 0 : place->rare->hops[at - OF_EVERY]);
    int thing = at - STAMPS;
    if (thing == HEADERS && place->numbers[HEADERS] > 0)
        return pairs_dict(&((Slots *)self)->headers, place->numbers[HEADERS] - 1);
    if (place->rare != NULL && place->rare->things[thing] != NULL)
        return Py_NewRef(place->rare->things[thing]);
    return PyLong_FromLong(thing < NUMBERED ? place->numbers[thing] : 0);
}

static int
slots_set(PyObject *self, Py_ssize_t number, PyObject *value)
{
    if (number < 0 || number >= slots_length(self) || value == NULL) {
        PyErr_Format(PyExc_IndexError, "there is no slot %zd, or it is to be taken away", number);
        return -1;
    }
    return set_place(self, number, value);
}

/* slots[number] and slots[first:last:step], a list. */
static PyObject *
slots_get(PyObject *self, PyObject *which)
{
    if (!PySlice_Check(which)) {
        Py_ssize_t number = PyNumber_AsSsize_t(which, PyExc_IndexError);
        return number == -1 && PyErr_Occurred() ? NULL : slots_item(self, number);
    }
    Py_ssize_t first, last, step;
    if (PySlice_Unpack(which, &first, &last, &step) < 0)
        return NULL;
    Py_ssize_t length = PySlice_AdjustIndices(slots_length(self), &first, &last, step);
    PyObject *list = PyList_New(length);
    for (Py_ssize_t at = 0; list != NULL && at < length; at++) {
        PyObject *value = slots_item(self, first + at * step);
        if (value == NULL)
            Py_CLEAR(list);
        else
            PyList_SET_ITEM(list, at, value);
    }
    return list;
}

static int
slots_put(PyObject *self, PyObject *which, PyObject *value)
{
    Py_ssize_t number = PyNumber_AsSsize_t(which, PyExc_IndexError);
    return number == -1 && PyErr_Occurred() ? -1 : slots_set(self, number, value);
}

static PyType_Slot slots_slots[] = {
    {Py_tp_doc, "The slots of a tape: a list whose stamps are kept as numbers."},
    {Py_tp_new, slots_new},
    {Py_tp_traverse, slots_traverse},
    {Py_tp_clear, slots_clear},
    {Py_tp_dealloc, slots_dealloc},
    {Py_sq_length, slots_length},
    {Py_sq_item, slots_item},
    {Py_mp_length, slots_length},
    {Py_mp_subscript, slots_get},
    {Py_mp_ass_subscript, slots_put},
    {0, NULL}
};

static PyType_Spec slots_spec = {
    .name = "pipeline_inspector._compiled.Slots",
    .basicsize = offsetof(Slots, places),
    .itemsize = sizeof(Place),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = slots_slots,
};

/* -- the fields of a tape ------------------------------------------------------------------------------------------ */

/* Numbers, those written when a tape is begun and those written later, which are 0 until then. */
#define BEGUN_NUMBERS(F) F(number) F(opened_at) F(thread) F(wall) F(width)
#define MOMENTS(F)                                                                                                      \
    F(end) F(closed_at) F(finished_at) F(resolve_start) F(resolve_end) F(view_made) F(view_start) F(view_end)
#define LATER_NUMBERS(F) F(start) MOMENTS(F) F(view_thread)
#define NUMBERS(F) BEGUN_NUMBERS(F) LATER_NUMBERS(F)

/* Objects: those written when a tape is begun, and those written later, or by few requests, with what they hold until then. */
#define ZERO(F) F(dropped) F(query_count) F(template_count)
#define BEGUN(F) F(chain) F(events) F(meta) F(method) F(newest) F(off) F(open) F(path) F(slots) F(status)
#define NONE(F)                                                                                                         \
    F(view) F(match) F(tried) F(urlconf) F(response) F(attributes) F(left) F(transport) F(task) F(errors) F(body_bytes)
#define NOT_YET(F) F(learning) F(aborted) F(streaming)
#define OTHER(F) F(only_added) F(watched) F(seen) F(inside)

#define FIELDS(F) BEGUN(F) ZERO(F) NONE(F) NOT_YET(F) OTHER(F)

typedef struct {
    PyObject_HEAD
#define DECLARE_NUMBER(field) long long field;
    NUMBERS(DECLARE_NUMBER)
#define DECLARE(field) PyObject *field;
    FIELDS(DECLARE)
    Pairs first, came; /* attributes of the request */
    PyObject *headers; /* those last kept as a whole; NULL: they were only added, and are with the slots */
} Fields;

static PyMemberDef fields_members[] = {
#define MEMBER(field) {#field, T_OBJECT_EX, offsetof(Fields, field), 0, NULL},
    FIELDS(MEMBER)
#undef MEMBER
#define NUMBER_MEMBER(field) {#field, T_LONGLONG, offsetof(Fields, field), 0, NULL},
    NUMBERS(NUMBER_MEMBER)
#undef NUMBER_MEMBER
    {NULL}
};

static int
fields_traverse(PyObject *self, visitproc visit, void *arg)
{
    Fields *tape = (Fields *)self;
    Py_VISIT(Py_TYPE(self));
#define VISIT(field) Py_VISIT(tape->field);
    FIELDS(VISIT)
#undef VISIT
    Py_VISIT(tape->headers);
    int stop = pairs_visit(&tape->first, visit, arg);
    return stop ? stop : pairs_visit(&tape->came, visit, arg);
}

static int
fields_clear(PyObject *self)
{
    Fields *tape = (Fields *)self;
#define CLEAR(field) Py_CLEAR(tape->field);
    FIELDS(CLEAR)
#undef CLEAR
    Py_CLEAR(tape->headers);
    pairs_clear(&tape->first);
    pairs_clear(&tape->came);
    return 0;
}

static void
fields_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    fields_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

/* Give a field its first value; `value` is a new reference, or NULL when making it failed. */
static int
begin_with(PyObject **field, PyObject *value)
{
    if (value == NULL)
        return -1;
    Py_XSETREF(*field, value);
    return 0;
}

/* All fields from `first` to `last`, which stand side by side, hold `value`. */
static void
set_all(PyObject **first, PyObject **last, PyObject *value)
{
    for (PyObject **field = first; field <= last; field++)
        Py_XSETREF(*field, Py_NewRef(value));
}

static void
forget(State *state, Fields *tape)
{
    memset(&tape->start, 0, (char *)(&tape->view_thread + 1) - (char *)&tape->start);
    set_all(&tape->dropped, &tape->template_count, state->zero);
    set_all(&tape->view, &tape->body_bytes, Py_None);
    set_all(&tape->learning, &tape->streaming, Py_False);
    Py_XSETREF(tape->only_added, Py_NewRef(Py_True));
    Py_XSETREF(tape->watched, Py_NewRef(state->nobody));
    Py_XSETREF(tape->seen, Py_NewRef(state->nothing));
    Py_XSETREF(tape->inside, Py_NewRef(state->never));
}

static PyObject *
fields_forget(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    State *state = state_of(self);
    Fields *tape = (Fields *)self;
    if (state == NULL)
        return NULL;
    forget(state, tape);
    pairs_clear(&tape->first);
    pairs_clear(&tape->came);
    Py_CLEAR(tape->events);
    Py_XSETREF(tape->meta, Py_NewRef(state->nothing));
    Py_CLEAR(tape->headers);
    Py_XSETREF(tape->newest, Py_NewRef(Py_None));
    if (tape->slots != NULL && Py_TYPE(tape->slots) == state->slots) {
        for (Py_ssize_t at = 0; at < Py_SIZE(tape->slots); at++) {
            Place *place = &((Slots *)tape->slots)->places[at];
            memset(place->stamps, 0, sizeof(place->stamps));
            if (place->rare != NULL)
                memset(place->rare->hops, 0, sizeof(place->rare->hops));
        }
        slots_clear(tape->slots);
    }
    return begin_with(&tape->events, PyList_New(0)) < 0 ? NULL : Py_NewRef(Py_None);
}

static void
leave_out(PyObject *ours)
{
    if (ours != NULL && PyObject_GC_IsTracked(ours))
        PyObject_GC_UnTrack(ours);
}

/* Is it over only now, as it is among those `running`? -1: an error. */
static int
over(Fields *tape, PyObject *running)
{
    PyObject *number = PyLong_FromLongLong(tape->number), *found = NULL;
    if (number == NULL)
        return -1;
    found = Py_XNewRef(PyDict_GetItemWithError(running, number));
    int failed = found == NULL ? (PyErr_Occurred() ? -1 : 1) : PyDict_DelItem(running, number);
    Py_DECREF(number);
    Py_XDECREF(found);
    if (failed)
        return failed < 0 ? -1 : 0;
    Py_XSETREF(tape->open, Py_NewRef(Py_False));
    Py_XSETREF(tape->newest, Py_NewRef(Py_None));
    Py_XSETREF(tape->task, Py_NewRef(Py_None));
    return 1;
}

/* over(running): true for the first who says so. */
static PyObject *
fields_over(PyObject *self, PyObject *running)
{
    if (!PyDict_Check(running))
        return PyErr_Format(PyExc_TypeError, "running: a dict is expected, not %R", running);
    int is_first = over((Fields *)self, running);
    return is_first < 0 ? NULL : PyBool_FromLong(is_first);
}

static void
rest(Fields *tape)
{
    leave_out((PyObject *)tape);
    leave_out(tape->slots);
    leave_out(tape->events);
    leave_out(tape->view);
    leave_out(tape->headers);
    leave_out(tape->response);
    leave_out(tape->attributes);
    leave_out(tape->transport);
}

static PyObject *
fields_rest(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    rest((Fields *)self);
    Py_RETURN_NONE;
}

/* Write down which thread this is, or which greenlet where these stand for threads. */
static int
write_thread(State *state, long long *ident)
{
    if (state->get_ident == NULL) {
        *ident = (long long)PyThread_get_thread_ident();
        return 0;
    }
    PyObject *thread = PyObject_CallNoArgs(state->get_ident);
    if (thread == NULL)
        return -1;
    *ident = PyLong_AsLongLong(thread);
    Py_DECREF(thread);
    return *ident == -1 && PyErr_Occurred() ? -1 : 0;
}

static PyObject *
thread_in_hand(State *state)
{
    long long ident;
    return write_thread(state, &ident) < 0 ? NULL : PyLong_FromLongLong(ident);
}

static int
begin(State *state, Fields *tape, PyObject *chain, PyObject *slots, PyObject *number, PyObject *request, PyObject *off)
{
    if (Py_TYPE(slots) != state->slots && !PyList_CheckExact(slots)) {
        PyErr_Format(PyExc_TypeError, "slots: a list is expected, not %R", slots);
        return -1;
    }
    tape->opened_at = now();
    tape->wall = wall_clock();
    if (write_thread(state, &tape->thread) < 0)
        return -1;
    tape->number = PyLong_AsLongLong(number);
    if ((tape->number == -1 && PyErr_Occurred())
        || begin_with(&tape->slots, PyList_Check(slots) ? slots_of(state->slots, slots) : slots_like(slots)) < 0
        || begin_with(&tape->meta, PyObject_GetAttr(request, state->name[N_META])) < 0
        || begin_with(&tape->path, PyObject_GetAttr(request, state->name[N_PATH])) < 0
        || begin_with(&tape->method, PyObject_GetAttr(request, state->name[N_METHOD])) < 0
        || begin_with(&tape->events, PyList_New(0)) < 0)
        return -1;
    forget(state, tape);
    Py_XSETREF(tape->chain, Py_NewRef(chain));
    Py_XSETREF(tape->off, Py_NewRef(off == NULL ? state->nobody : off));
    Py_XSETREF(tape->open, Py_NewRef(Py_True));
    Py_XSETREF(tape->status, Py_NewRef(state->zero));
    Py_CLEAR(tape->headers);
    Py_XSETREF(tape->newest, Py_NewRef(state->name[N_TAPE]));
    PyObject *attributes = PyObject_GenericGetDict(request, NULL);
    if (attributes == NULL)
        return -1;
    tape->width = PyDict_GET_SIZE(attributes) + 1;
    int failed = pairs_make_room(&tape->first, PyDict_GET_SIZE(attributes)) < 0 ? -1 : pairs_take(&tape->first, attributes, 0);
    Py_DECREF(attributes);
    return failed;
}

static int
fields_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"chain", "slots", "number", "request", "off", NULL};
    State *state = state_of(self);
    PyObject *chain, *slots, *number, *request, *off = NULL;
    if (state == NULL
        || !PyArg_ParseTupleAndKeywords(args, kwargs, "OOOO|O:Tape", keywords, &chain, &slots, &number, &request, &off))
        return -1;
    return begin(state, (Fields *)self, chain, slots, number, request, off);
}

/* begun(chain, slots, number, request, off): a tape, made without asking the type how. */
static PyObject *
module_begun(PyObject *self, PyObject *const *args, Py_ssize_t given)
{
    State *state = PyModule_GetState(self);
    if (given != 5)
        return PyErr_Format(PyExc_TypeError, "begun(chain, slots, number, request, off): %zd arguments are given", given);
    PyObject *tape = state->fields->tp_alloc(state->fields, 0);
    if (tape != NULL && begin(state, (Fields *)tape, args[0], args[1], args[2], args[3], args[4]) < 0)
        Py_CLEAR(tape);
    return tape;
}

static int
is_as_wide(Fields *tape, PyObject *attributes)
{
    return tape->width == PyDict_GET_SIZE(attributes);
}

/* Put what came since there were `width` attributes to the rest; false where anything else was done to them. The place of an
   attribute in a dict is its number, as long as none was taken away: else another name may stand there, and it is counted. */
static int
take_new(Fields *tape, PyObject *attributes, Py_ssize_t width)
{
    Py_ssize_t position = width - 1, before = tape->came.count;
    PyObject *name, *value;
    if (!PyDict_Next(attributes, &position, &name, &value) || name != tape->newest) {
        position = 0;
        for (Py_ssize_t at = 0; at < width; at++)
            if (!PyDict_Next(attributes, &position, &name, &value))
                return 0;
        if (name != tape->newest)
            return 0;
    }
    int failed = pairs_take(&tape->came, attributes, position);
    Py_ssize_t count = width + tape->came.count - before;
    if (failed < 0 || count != PyDict_GET_SIZE(attributes)) {
        pairs_cut(&tape->came, before);
        return failed;
    }
    Py_XSETREF(tape->newest, Py_NewRef(tape->came.items[2 * tape->came.count - 2]));
    tape->width = count;
    return 1;
}

static PyObject *
look(State *state, Fields *tape, PyObject *attributes)
{
    Py_ssize_t width = (Py_ssize_t)tape->width;
    if (width > 0 && width < PyDict_GET_SIZE(attributes)) {
        int only_new = take_new(tape, attributes, width);
        if (only_new != 0)
            return only_new < 0 ? NULL : PyLong_FromSsize_t((Py_ssize_t)tape->width);
    }
    return PyObject_CallMethodOneArg((PyObject *)tape, state->name[N_ALL_OF], attributes);
}

/* hooked(attributes, start, position, answered): a process_view hook that began at `start` returned. */
static PyObject *
fields_hooked(PyObject *self, PyObject *const *args, Py_ssize_t given)
{
    Fields *tape = (Fields *)self;
    State *state = state_of(self);
    long long end = now(), thread;
    if (state == NULL || write_thread(state, &thread) < 0)
        return NULL;
    if (given != 4 || !PyDict_Check(args[0]) || tape->events == NULL || !PyList_CheckExact(tape->events)) {
        PyErr_SetString(PyExc_TypeError, "hooked(attributes, start, position, answered): a dict and three are expected");
        return NULL;
    }
    PyObject *after = is_as_wide(tape, args[0]) ? Py_NewRef(Py_None) : look(state, tape, args[0]);
    if (after == NULL)
        return NULL;
    PyObject *event = PyTuple_New(12), *ended = PyLong_FromLongLong(end), *ident = PyLong_FromLongLong(thread);
    if (event == NULL || ended == NULL || ident == NULL) {
        Py_XDECREF(event);
        Py_XDECREF(ended);
        Py_XDECREF(ident);
        Py_DECREF(after);
        return NULL;
    }
    PyTuple_SET_ITEM(event, 0, Py_NewRef(state->hook));
    PyTuple_SET_ITEM(event, 1, Py_NewRef(args[1]));
    PyTuple_SET_ITEM(event, 2, ended);
    PyTuple_SET_ITEM(event, 3, ident);
    PyTuple_SET_ITEM(event, 4, Py_NewRef(args[2]));
    PyTuple_SET_ITEM(event, 5, Py_NewRef(state->name[N_PROCESS_VIEW]));
    PyTuple_SET_ITEM(event, 6, Py_NewRef(args[3]));
    PyTuple_SET_ITEM(event, 7, after);
    PyTuple_SET_ITEM(event, 8, Py_NewRef(Py_None));
    PyTuple_SET_ITEM(event, 9, Py_NewRef(state->zero));
    PyTuple_SET_ITEM(event, 10, Py_NewRef(state->zero));
    PyTuple_SET_ITEM(event, 11, Py_NewRef(Py_None));
    int failed;
    if (PyList_GET_SIZE(tape->events) < EVENT_LIMIT)
        failed = PyList_Append(tape->events, event);
    else
        failed = begin_with(&tape->dropped, PyNumber_Add(tape->dropped, state->one));
    Py_DECREF(event);
    return failed < 0 ? NULL : Py_NewRef(Py_None);
}

/* What came as the Python half has it: pairs of name and value, newest first. */
static PyObject *
fields_get_came(PyObject *self, void *Py_UNUSED(closure))
{
    Pairs *came = &((Fields *)self)->came;
    PyObject *list = PyList_New(0);
    for (Py_ssize_t at = came->count - 1; list != NULL && at >= 0 && at < came->count; at--) {
        PyObject *name = Py_NewRef(came->items[2 * at]), *value = Py_NewRef(came->items[2 * at + 1]);
        PyObject *pair = PyTuple_Pack(2, name, value);
        if (pair == NULL || PyList_Append(list, pair) < 0)
            Py_CLEAR(list);
        Py_XDECREF(pair);
        Py_DECREF(name);
        Py_DECREF(value);
    }
    return list;
}

static int
fields_set_came(PyObject *self, PyObject *list, void *Py_UNUSED(closure))
{
    Pairs came = {NULL, 0, 0}, *ours = &((Fields *)self)->came;
    if (list == NULL || !PyList_CheckExact(list)) {
        PyErr_SetString(PyExc_TypeError, "came: a list of pairs is expected");
        return -1;
    }
    for (Py_ssize_t at = PyList_GET_SIZE(list) - 1; at >= 0; at--) {
        PyObject *pair = PyList_GET_ITEM(list, at);
        if (!PyTuple_CheckExact(pair) || PyTuple_GET_SIZE(pair) != 2)
            PyErr_SetString(PyExc_TypeError, "came: a list of pairs is expected");
        else if (pairs_add(&came, PyTuple_GET_ITEM(pair, 0), PyTuple_GET_ITEM(pair, 1)) == 0)
            continue;
        pairs_clear(&came);
        return -1;
    }
    pairs_exchange(ours, &came);
    return 0;
}

/* What there was in the beginning, a dict. */
static PyObject *
fields_get_first(PyObject *self, void *Py_UNUSED(closure))
{
    Pairs *first = &((Fields *)self)->first;
    return pairs_dict(first, first->count);
}

/* The pairs of headers that stand with the slots, when these are ours. */
static Pairs *
headers_of(State *state, Fields *tape)
{
    return tape->slots != NULL && Py_TYPE(tape->slots) == state->slots ? &((Slots *)tape->slots)->headers : NULL;
}

/* The headers last kept, None before. */
static PyObject *
fields_get_headers(PyObject *self, void *Py_UNUSED(closure))
{
    Fields *tape = (Fields *)self;
    State *state = state_of(self);
    if (state == NULL)
        return NULL;
    Pairs *headers = headers_of(state, tape);
    if (tape->headers == NULL && headers != NULL && headers->items != NULL)
        return pairs_dict(headers, headers->count);
    return Py_NewRef(tape->headers == NULL ? Py_None : tape->headers);
}

static PyGetSetDef fields_properties[] = {
    {"came", fields_get_came, fields_set_came, NULL, NULL},
    {"first", fields_get_first, NULL, NULL, NULL},
    {"headers", fields_get_headers, NULL, NULL, NULL},
    {NULL}
};

static PyObject *
fields_looked(PyObject *self, PyObject *attributes)
{
    State *state = state_of(self);
    if (state == NULL)
        return NULL;
    if (!PyDict_Check(attributes))
        return PyErr_Format(PyExc_TypeError, "attributes: a dict is expected, not %R", attributes);
    return look(state, (Fields *)self, attributes);
}

/* Was nothing else done to `attributes` than that those came that are in `came`, and `match` was set? */
static int
only_came(State *state, Fields *tape, PyObject *attributes, PyObject *match)
{
    PyObject *name, *value, *resolved = NULL;
    Py_ssize_t begun = tape->first.count, at = 0, position = 0;
    if (PyDict_GET_SIZE(attributes) != begun + 1 + tape->came.count)
        return 0;
    for (; PyDict_Next(attributes, &position, &name, &value); at++) {
        if (at == begun) {
            if (name != state->name[N_TAPE] || value != (PyObject *)tape)
                return 0;
            continue;
        }
        Pairs *pairs = at < begun ? &tape->first : &tape->came;
        Py_ssize_t pair = at < begun ? at : at - begun - 1;
        PyObject *before = pairs->items[2 * pair + 1];
        if (at < begun && name == state->name[N_RESOLVER_MATCH]) {
            resolved = before;
            before = match;
        }
        if (name != pairs->items[2 * pair] || value != before)
            return 0;
    }
    return resolved == Py_None;
}

/* Is `sieve` the one for names and kinds of what came? */
static int
fits(PyObject *sieve, Pairs *came)
{
    PyObject *left = PyTuple_GET_ITEM(sieve, 0), *all_names = PyTuple_GET_ITEM(left, 0), *kinds = PyTuple_GET_ITEM(left, 1);
    if (PyTuple_GET_SIZE(all_names) != came->count || PyTuple_GET_SIZE(kinds) != came->count)
        return 0;
    for (Py_ssize_t at = 0; at < came->count; at++)
        if (PyTuple_GET_ITEM(all_names, at) != came->items[2 * at]
            || PyTuple_GET_ITEM(kinds, at) != (PyObject *)Py_TYPE(came->items[2 * at + 1]))
            return 0;
    return 1;
}

static int
is_sieve(PyObject *found)
{
    if (found == NULL || !PyTuple_Check(found) || PyTuple_GET_SIZE(found) != 2 || !PyTuple_Check(PyTuple_GET_ITEM(found, 1)))
        return 0;
    PyObject *left = PyTuple_GET_ITEM(found, 0);
    return PyTuple_Check(left) && PyTuple_GET_SIZE(left) == 2 && PyTuple_Check(PyTuple_GET_ITEM(left, 0))
           && PyTuple_Check(PyTuple_GET_ITEM(left, 1));
}

/* The sieve for what `came`, a new reference: mostly it is the one of the request before. */
static PyObject *
sieve_for(State *state, Pairs *came, PyObject *sieves)
{
    if (state->sieves == sieves && fits(state->sieve, came))
        return Py_NewRef(state->sieve);
    Py_ssize_t count = came->count;
    PyObject *all_names = PyTuple_New(count), *kinds = PyTuple_New(count), *key = NULL, *found = NULL;
    for (Py_ssize_t at = 0; all_names != NULL && kinds != NULL && at < count; at++) {
        PyTuple_SET_ITEM(all_names, at, Py_NewRef(came->items[2 * at]));
        PyTuple_SET_ITEM(kinds, at, Py_NewRef((PyObject *)Py_TYPE(came->items[2 * at + 1])));
    }
    if (all_names != NULL && kinds != NULL)
        key = PyTuple_Pack(2, all_names, kinds);
    Py_XDECREF(all_names);
    Py_XDECREF(kinds);
    if (key != NULL) {
        found = Py_XNewRef(PyDict_GetItemWithError(sieves, key));
        if (found == NULL && !PyErr_Occurred())
            found = PyObject_GetItem(sieves, key);
        Py_DECREF(key);
    }
    if (found != NULL && !is_sieve(found)) {
        PyErr_Format(PyExc_TypeError, "a sieve is expected, not %R", found);
        Py_CLEAR(found);
    }
    if (found != NULL) {
        Py_XSETREF(state->sieve, Py_NewRef(found));
        Py_XSETREF(state->sieves, Py_NewRef(sieves));
    }
    return found;
}

/* What `tell` tells of `value`. Of a lazy object it is a pair: what to tell while that wraps the other. */
static PyObject *
told(State *state, PyObject *tell, PyObject *value)
{
    if (PyTuple_Check(tell) && PyTuple_GET_SIZE(tell) == 2) {
        PyObject *wrapped = PyObject_GenericGetAttr(value, state->name[N_WRAPPED]);
        if (wrapped == NULL)
            return NULL;
        int is_empty = wrapped == PyTuple_GET_ITEM(tell, 1);
        Py_DECREF(wrapped);
        if (is_empty)
            return Py_NewRef(PyTuple_GET_ITEM(tell, 0));
    }
    return PyObject_CallOneArg(tell, value);
}

/* What the sieve keeps of what came: {name: value}. */
static PyObject *
sifted(State *state, PyObject *places, Pairs *came)
{
    PyObject *kept = PyDict_New();
    for (Py_ssize_t at = 0; kept != NULL && at < PyTuple_GET_SIZE(places); at++) {
        PyObject *place = PyTuple_GET_ITEM(places, at);
        Py_ssize_t number = PyTuple_CheckExact(place) && PyTuple_GET_SIZE(place) == 3
                                ? PyLong_AsSsize_t(PyTuple_GET_ITEM(place, 0))
                                : -1;
        if (number < 0 || number >= came->count) {
            if (!PyErr_Occurred())
                PyErr_Format(PyExc_IndexError, "nothing came at %R", place);
            Py_CLEAR(kept);
            break;
        }
        PyObject *tell = PyTuple_GET_ITEM(place, 2), *value = Py_NewRef(came->items[2 * number + 1]);
        if (tell != Py_None)
            Py_SETREF(value, told(state, tell, value));
        if (value == NULL || PyDict_SetItem(kept, PyTuple_GET_ITEM(place, 1), value) < 0)
            Py_CLEAR(kept);
        Py_XDECREF(value);
    }
    return kept;
}

/* Keep of `attributes` what the sieve for them keeps: 1, or 0 where anything else was done to them than that new ones came, or
   -1, an error. */
static int
sift(State *state, Fields *tape, PyObject *attributes, PyObject *sieves)
{
    if (!only_came(state, tape, attributes, tape->match))
        return PyErr_Occurred() ? -1 : 0;
    Pairs came = tape->came; /* what is asked meanwhile may be anybody's code: nobody else has them in hand */
    tape->came = (Pairs){NULL, 0, 0};
    PyObject *sieve = sieve_for(state, &came, sieves);
    PyObject *kept = sieve == NULL ? NULL : sifted(state, PyTuple_GET_ITEM(sieve, 1), &came);
    if (kept == NULL)
        pairs_exchange(&tape->came, &came);
    else {
        pairs_clear(&came);
        pairs_clear(&tape->first);
        Py_XSETREF(tape->left, Py_NewRef(PyTuple_GET_ITEM(sieve, 0)));
        Py_XSETREF(tape->attributes, kept);
    }
    Py_XDECREF(sieve);
    return kept == NULL ? -1 : 1;
}

static int
settle(State *state, Fields *tape, PyObject *attributes, PyObject *sieves)
{
    if (!PyDict_Check(attributes) || !PyDict_Check(sieves) || tape->match == NULL) {
        PyErr_SetString(PyExc_TypeError, "settle(attributes, sieves): two dicts are expected, and a tape that is whole");
        return -1;
    }
    int sieved = tape->only_added == Py_True ? PyDict_Contains(attributes, state->name[N_POST]) : 1;
    if (sieved == 0)
        sieved = PyDict_Contains(attributes, state->name[N_URLCONF]);
    sieved = sieved == 0 ? sift(state, tape, attributes, sieves) : (sieved < 0 ? -1 : 0);
    return sieved == 0 ? begin_with(&tape->attributes, PyDict_Copy(attributes)) : sieved;
}

/* settle(attributes, sieves) */
static PyObject *
fields_settle(PyObject *self, PyObject *const *args, Py_ssize_t given)
{
    State *state = state_of(self);
    if (state == NULL)
        return NULL;
    if (given != 2)
        return PyErr_Format(PyExc_TypeError, "settle(attributes, sieves): %zd arguments are given", given);
    return settle(state, (Fields *)self, args[0], args[1]) < 0 ? NULL : Py_NewRef(Py_None);
}

/* {name: morsel.value}, or 0 where there are none. */
static PyObject *
cookies_of(State *state, PyObject *cookies)
{
    int any = PyObject_IsTrue(cookies);
    if (any <= 0)
        return any < 0 ? NULL : Py_NewRef(state->zero);
    PyObject *items = PyObject_CallMethodNoArgs(cookies, state->name[N_ITEMS]);
    PyObject *steps = items == NULL ? NULL : PyObject_GetIter(items);
    PyObject *kept = steps == NULL ? NULL : PyDict_New();
    PyObject *item;
    while (kept != NULL && (item = PyIter_Next(steps)) != NULL) {
        PyObject *value = NULL;
        if (PyTuple_CheckExact(item) && PyTuple_GET_SIZE(item) == 2)
            value = PyObject_GetAttr(PyTuple_GET_ITEM(item, 1), state->name[N_VALUE]);
        if (value == NULL || PyDict_SetItem(kept, PyTuple_GET_ITEM(item, 0), value) < 0)
            Py_CLEAR(kept);
        Py_XDECREF(value);
        Py_DECREF(item);
    }
    if (PyErr_Occurred())
        Py_CLEAR(kept);
    Py_XDECREF(steps);
    Py_XDECREF(items);
    return kept;
}

/* Status, headers and cookies of a response, each a new reference. */
typedef struct {
    PyObject *status, *headers, *cookies;
} Answer;

static void
answer_forget(Answer *answer)
{
    Py_CLEAR(answer->status);
    Py_CLEAR(answer->headers);
    Py_CLEAR(answer->cookies);
}

static int
answer_of(State *state, PyObject *response, Answer *answer)
{
    PyObject *headers = PyObject_GetAttr(response, state->name[N_HEADERS]);
    if (headers == NULL)
        return -1;
    answer->headers = PyObject_GetAttr(headers, state->name[N_STORE]);
    Py_DECREF(headers);
    if (answer->headers == NULL)
        return -1;
    answer->status = PyObject_GetAttr(response, state->name[N_STATUS_CODE]);
    if (answer->status == NULL)
        return -1;
    answer->cookies = PyObject_GetAttr(response, state->name[N_COOKIES]);
    return answer->cookies == NULL ? -1 : 0;
}

static PyObject *
copy_headers(State *state, PyObject *headers)
{
    return PyDict_CheckExact(headers) ? PyDict_Copy(headers) : PyObject_CallMethodNoArgs(headers, state->name[N_COPY]);
}

/* Keep `headers` at `place`: where they were only added since the boundary before the new ones, else all. */
static int
keep_headers(State *state, Fields *tape, Place *place, PyObject *headers)
{
    Pairs *before = headers_of(state, tape);
    Py_ssize_t position;
    if (before != NULL && tape->headers == NULL && PyDict_CheckExact(headers) && PyDict_GET_SIZE(headers) < 0xFFFF
        && pairs_begin(before, headers, &position)) {
        if (pairs_make_room(before, PyDict_GET_SIZE(headers) - before->count) < 0 || pairs_take(before, headers, position) < 0)
            return -1;
        place->numbers[HEADERS] = (unsigned short)(before->count + 1);
        return 0;
    }
    PyObject *copied = copy_headers(state, headers);
    if (copied == NULL || put(place, HEADERS, copied) < 0) {
        Py_XDECREF(copied);
        return -1;
    }
    Py_XSETREF(tape->headers, copied);
    return 0;
}

/* Keep `answer` in the slots from `base` on, as it differs from the boundary before. */
static int
keep(State *state, Fields *tape, Place *place, Answer *answer)
{
    PyObject *cookies = cookies_of(state, answer->cookies);
    if (cookies == NULL)
        return -1;
    PyObject *status = cookies == state->zero ? answer->status : state->ask_again;
    int failed = keep_headers(state, tape, place, answer->headers) < 0 || put(place, STATUS, answer->status) < 0
                 || put(place, COOKIES, cookies) < 0;
    Py_DECREF(cookies);
    if (failed)
        return -1;
    Py_XSETREF(tape->status, Py_NewRef(status));
    return 0;
}

static PyObject *
fields_answered(PyObject *self, PyObject *const *args, Py_ssize_t given)
{
    Fields *tape = (Fields *)self;
    State *state = state_of(self);
    if (state == NULL)
        return NULL;
    if (given != 2 || tape->slots == NULL || Py_TYPE(tape->slots) != state->slots) {
        PyErr_SetString(PyExc_TypeError, "answered(base, response): two are expected, and a tape with slots");
        return NULL;
    }
    Py_ssize_t base = PyLong_AsSsize_t(args[0]);
    if (base < 0 || base >= slots_length(tape->slots))
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_IndexError, "no slots at %zd", base);
    Answer answer = {NULL, NULL, NULL};
    PyObject *slots = Py_NewRef(tape->slots);
    Place *place = &((Slots *)slots)->places[base / STRIDE];
    int failed = answer_of(state, args[1], &answer) < 0 || keep(state, tape, place, &answer) < 0;
    Py_DECREF(slots);
    answer_forget(&answer);
    if (failed)
        return NULL;
    Py_RETURN_NONE;
}

/* Status, headers and cookies (0: none) of `response`; None when it is no response. */
static PyObject *
snapshot_of(State *state, PyObject *response)
{
    Answer answer = {NULL, NULL, NULL};
    PyObject *taken = NULL, *headers = NULL, *cookies = NULL;
    if (answer_of(state, response, &answer) == 0) {
        headers = copy_headers(state, answer.headers);
        cookies = headers == NULL ? NULL : cookies_of(state, answer.cookies);
        if (cookies != NULL)
            taken = PyTuple_Pack(3, answer.status, headers, cookies);
        Py_XDECREF(headers);
        Py_XDECREF(cookies);
    }
    answer_forget(&answer);
    if (taken != NULL || !PyErr_ExceptionMatches(PyExc_Exception))
        return taken;
    PyErr_Clear();
    Py_RETURN_NONE;
}

/* Note the length of the body, and be told when it is closed: 1, or 0 where it is not one piece, or -1, an error. */
static int
note_body(State *state, Fields *tape, PyObject *response)
{
    PyObject *streaming = PyObject_GetAttr(response, state->name[N_STREAMING]);
    Py_XDECREF(streaming);
    if (streaming != Py_False)
        return streaming == NULL ? -1 : 0;
    PyObject *chunks = PyObject_GetAttr(response, state->name[N_CONTAINER]);
    if (chunks == NULL)
        return -1;
    int is_plain = PyList_CheckExact(chunks) && PyList_GET_SIZE(chunks) == 1 && PyBytes_Check(PyList_GET_ITEM(chunks, 0));
    PyObject *size = is_plain ? PyLong_FromSsize_t(PyBytes_GET_SIZE(PyList_GET_ITEM(chunks, 0))) : NULL;
    Py_DECREF(chunks);
    PyObject *closers = is_plain ? PyObject_GetAttr(response, state->name[N_CLOSERS]) : NULL;
    if (size == NULL || closers == NULL || !PyList_CheckExact(closers)) {
        Py_XDECREF(size);
        Py_XDECREF(closers);
        return PyErr_Occurred() ? -1 : 0;
    }
    Py_XSETREF(tape->body_bytes, size);
    PyObject *sent = PyObject_GetAttr((PyObject *)tape, state->name[N_SENT]);
    int failed = sent == NULL ? -1 : PyList_Append(closers, sent);
    Py_XDECREF(sent);
    Py_DECREF(closers);
    return failed < 0 ? -1 : 1;
}

/* 1, or 0 where the body is not one piece, or -1, an error. */
static int
through(State *state, Fields *tape, PyObject *attributes, PyObject *response, PyObject *sieves)
{
    if (begin_with(&tape->response, snapshot_of(state, response)) < 0 || settle(state, tape, attributes, sieves) < 0)
        return -1;
    return note_body(state, tape, response);
}

/* through(attributes, response, sieves) */
static PyObject *
fields_through(PyObject *self, PyObject *const *args, Py_ssize_t given)
{
    State *state = state_of(self);
    if (state == NULL)
        return NULL;
    if (given != 3)
        return PyErr_Format(PyExc_TypeError, "through(attributes, response, sieves): %zd arguments are given", given);
    int noted = through(state, (Fields *)self, args[0], args[1], args[2]);
    return noted < 0 ? NULL : PyBool_FromLong(noted);
}

/* The response is closed. */
static PyObject *
fields_sent(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    Fields *tape = (Fields *)self;
    State *state = state_of(self);
    if (state == NULL)
        return NULL;
    tape->closed_at = now();
    PyObject *thread = thread_in_hand(state);
    int failed = thread == NULL ? -1 : PyDict_SetItem(state->closing, thread, self);
    Py_XDECREF(thread);
    return failed < 0 ? NULL : Py_NewRef(Py_None);
}

/* stamp(number): that moment is now, as recording/moments.py counts them; a view begins on this thread. */
static PyObject *
fields_stamp(PyObject *self, PyObject *number)
{
    Fields *tape = (Fields *)self;
    Py_ssize_t at = PyLong_AsSsize_t(number);
    if (at < 0 || at > &tape->view_end - &tape->start)
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_IndexError, "a tape has no moment %R", number);
    long long *moment = &tape->start + at;
    if (moment == &tape->view_start) {
        State *state = state_of(self);
        if (state == NULL || write_thread(state, &tape->view_thread) < 0)
            return NULL;
    }
    *moment = now();
    Py_RETURN_NONE;
}

static PyObject *
fields_moments(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    Fields *tape = (Fields *)self;
#define VALUE(field) , tape->field
    return Py_BuildValue("(LLLLLLLLL)", tape->opened_at MOMENTS(VALUE));
}

static PyMethodDef fields_methods[] = {
    {"moments", fields_moments, METH_NOARGS, NULL},
    {"stamp", fields_stamp, METH_O, NULL},
    {"sent", fields_sent, METH_NOARGS, NULL},
    {"looked", fields_looked, METH_O, NULL},
    {"forget", fields_forget, METH_NOARGS, NULL},
    {"over", fields_over, METH_O, NULL},
    {"rest", fields_rest, METH_NOARGS, NULL},
    {"hooked", (PyCFunction)(void (*)(void))fields_hooked, METH_FASTCALL, NULL},
    {"through", (PyCFunction)(void (*)(void))fields_through, METH_FASTCALL, NULL},
    {"settle", (PyCFunction)(void (*)(void))fields_settle, METH_FASTCALL, NULL},
    {"answered", (PyCFunction)(void (*)(void))fields_answered, METH_FASTCALL, NULL},
    {NULL}
};

static PyType_Slot fields_slots[] = {
    {Py_tp_doc, "The fields of a tape, and what writes them; recording/fields.py tells more."},
    {Py_tp_init, fields_init},
    {Py_tp_traverse, fields_traverse},
    {Py_tp_clear, fields_clear},
    {Py_tp_dealloc, fields_dealloc},
    {Py_tp_members, fields_members},
    {Py_tp_getset, fields_properties},
    {Py_tp_methods, fields_methods},
    {0, NULL}
};

static PyType_Spec fields_spec = {
    .name = "pipeline_inspector.recording.tape.Tape",
    .basicsize = sizeof(Fields),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = fields_slots,
};

/* -- the way between server and handler ---------------------------------------------------------------------------- */

#define WAY_NUMBERS(F)                                                                                                  \
    F(called) F(prefixed) F(started) F(response_started) F(first_byte) F(last_byte) F(chunks) F(sent)
#define WAY_OBJECTS(F) F(source) F(start_response) F(tape) F(script_prefix) F(chunk_stamps)

typedef struct {
    PyObject_HEAD
    WAY_NUMBERS(DECLARE_NUMBER)
    WAY_OBJECTS(DECLARE)
} Way;

static PyMemberDef way_members[] = {
#define WAY_MEMBER(field) {#field, T_OBJECT_EX, offsetof(Way, field), 0, NULL},
    WAY_OBJECTS(WAY_MEMBER)
#define WAY_NUMBER_MEMBER(field) {#field, T_LONGLONG, offsetof(Way, field), 0, NULL},
    WAY_NUMBERS(WAY_NUMBER_MEMBER)
    {NULL}
};

static int
way_traverse(PyObject *self, visitproc visit, void *arg)
{
    Way *way = (Way *)self;
    Py_VISIT(Py_TYPE(self));
#define VISIT_WAY(field) Py_VISIT(way->field);
    WAY_OBJECTS(VISIT_WAY)
    return 0;
}

static int
way_clear(PyObject *self)
{
    Way *way = (Way *)self;
#define CLEAR_WAY(field) Py_CLEAR(way->field);
    WAY_OBJECTS(CLEAR_WAY)
    return 0;
}

static void
way_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    way_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

/* A way on which nothing happened yet. */
static Way *
way_begun(State *state, PyTypeObject *type)
{
    Way *way = (Way *)type->tp_alloc(type, 0);
    if (way == NULL)
        return NULL;
    way->source = Py_NewRef(Py_None);
    way->start_response = Py_NewRef(Py_None);
    way->tape = Py_NewRef(Py_None);
    way->script_prefix = Py_NewRef(state->name[N_EMPTY]);
    way->chunk_stamps = Py_NewRef(state->nobody);
    return way;
}

static PyObject *
way_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(keywords))
{
    PyObject *found = PyArg_ParseTuple(args, ":Transport") ? PyType_GetModuleByDef(type, &module) : NULL;
    return found == NULL ? NULL : (PyObject *)way_begun(PyModule_GetState(found), type);
}

/* arrived(source, start_response): the way of a request that was handed in now. */
static PyObject *
module_arrived(PyObject *self, PyObject *const *args, Py_ssize_t given)
{
    State *state = PyModule_GetState(self);
    if (given != 2)
        return PyErr_Format(PyExc_TypeError, "arrived(source, start_response): %zd arguments are given", given);
    Way *way = way_begun(state, state->way);
    if (way == NULL)
        return NULL;
    Py_XSETREF(way->source, Py_NewRef(args[0]));
    Py_XSETREF(way->start_response, Py_NewRef(args[1]));
    way->called = now();
    return (PyObject *)way;
}

/* stamp(number): that moment is now; a body begins once, and when the response was started. */
static PyObject *
way_stamp(PyObject *self, PyObject *number)
{
    Way *way = (Way *)self;
    Py_ssize_t at = PyLong_AsSsize_t(number);
    if (at < 0 || at > &way->last_byte - &way->called)
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_IndexError, "a way has no moment %R", number);
    long long *moment = &way->called + at;
    if (moment != &way->first_byte || (way->response_started && !way->first_byte))
        *moment = now();
    Py_RETURN_NONE;
}

static PyObject *
way_starting(PyObject *self, PyObject *const *args, Py_ssize_t given)
{
    Way *way = (Way *)self;
    way->response_started = now();
    PyObject *start = way->start_response == NULL ? Py_NewRef(Py_None) : Py_NewRef(way->start_response);
    PyObject *answer = PyObject_Vectorcall(start, args, given, NULL);
    Py_DECREF(start);
    return answer;
}

static PyObject *
way_forget(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    Way *way = (Way *)self;
    Py_XSETREF(way->tape, Py_NewRef(Py_None));
    Py_XSETREF(way->source, Py_NewRef(Py_None));
    Py_RETURN_NONE;
}

static PyMethodDef way_methods[] = {
    {"stamp", way_stamp, METH_O, NULL},
    {"starting", (PyCFunction)(void (*)(void))way_starting, METH_FASTCALL, NULL},
    {"forget", way_forget, METH_NOARGS, NULL},
    {NULL}
};

static PyType_Slot way_slots[] = {
    {Py_tp_doc, "The stamps of a request's way; recording/way.py tells more."},
    {Py_tp_new, way_new},
    {Py_tp_traverse, way_traverse},
    {Py_tp_clear, way_clear},
    {Py_tp_dealloc, way_dealloc},
    {Py_tp_members, way_members},
    {Py_tp_methods, way_methods},
    {0, NULL}
};

static PyType_Spec way_spec = {
    .name = "pipeline_inspector.recording.transport.Transport",
    .basicsize = sizeof(Way),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = way_slots,
};

/* handed_out(response): a WSGI server asks for the body, right before it writes the first byte. Behind our closer, which is of
   its tape, the handler put its request's. It looks at what it finds, and asks nothing of it. */
static PyObject *
module_handed_out(PyObject *self, PyObject *response)
{
    State *state = PyModule_GetState(self);
    PyObject *closers = PyObject_GetAttr(response, state->name[N_CLOSERS]);
    if (closers == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_Exception))
            return NULL;
        PyErr_Clear();
        Py_RETURN_NONE;
    }
    Py_ssize_t count = PyList_CheckExact(closers) ? PyList_GET_SIZE(closers) : 0;
    PyObject *closer = count < 2 ? NULL : PyList_GET_ITEM(closers, count - 2);
    if (closer != NULL && PyCFunction_CheckExact(closer)) {
        PyObject *tape = PyCFunction_GET_SELF(closer);
        if (tape != NULL && Py_TYPE(tape) == state->fields) {
            PyObject *size = ((Fields *)tape)->body_bytes, *way = ((Fields *)tape)->transport;
            if (size != Py_None && size != state->zero && way != NULL && Py_TYPE(way) == state->way
                && ((Way *)way)->response_started && !((Way *)way)->first_byte)
                ((Way *)way)->first_byte = now();
        }
    }
    Py_DECREF(closers);
    Py_RETURN_NONE;
}

/* -- the outline of a request's way --------------------------------------------------------------------------------- */

/* Does `answer` begin with the very values of `headers`, in their order? */
static int
begins_with(PyObject *answer, PyObject *headers)
{
    Py_ssize_t position = 0, other_position = 0;
    PyObject *value, *other;
    while (PyDict_Next(headers, &position, NULL, &value))
        if (!PyDict_Next(answer, &other_position, NULL, &other) || value != other)
            return 0;
    return 1;
}

/* outline(slots, answer): what boundaries kept, without the values that stand in `answer`, the final headers; None where they
   kept more than numbers and headers that were only added. */
static PyObject *
outline_of(PyObject *self, PyObject *const *args, Py_ssize_t given)
{
    State *state = PyModule_GetState(self);
    if (given != 2 || Py_TYPE(args[0]) != state->slots || !PyDict_Check(args[1])) {
        PyErr_SetString(PyExc_TypeError, "outline(slots, answer): Slots and a dict are expected");
        return NULL;
    }
    PyObject *slots = args[0], *answer = args[1];
    Py_ssize_t count = Py_SIZE(slots), position;
    if (!pairs_begin(&((Slots *)slots)->headers, answer, &position))
        Py_RETURN_NONE;
    PyObject *outline = PyBytes_FromStringAndSize(NULL, count * NUMBERED * sizeof(unsigned short));
    if (outline == NULL)
        return NULL;
    unsigned short *written = (unsigned short *)PyBytes_AS_STRING(outline);
    for (Py_ssize_t at = 0; at < count; at++, written += NUMBERED) {
        Place *place = &((Slots *)slots)->places[at];
        memcpy(written, place->numbers, sizeof(place->numbers));
        for (int thing = 0; place->rare != NULL && thing < THINGS; thing++) {
            PyObject *kept = place->rare->things[thing];
            if (thing == HEADERS && kept != NULL && PyDict_CheckExact(kept) && PyDict_GET_SIZE(kept) < 0xFFFF
                && begins_with(answer, kept))
                written[HEADERS] = (unsigned short)(PyDict_GET_SIZE(kept) + 1);
            else if (kept != NULL) {
                Py_DECREF(outline);
                Py_RETURN_NONE;
            }
        }
    }
    return outline;
}

/* -- functions that stand for others ------------------------------------------------------------------------------- */

/* What does in the ordinary case what `pure`, a Python function, does, and is that function to whoever asks. */
typedef struct {
    PyObject_VAR_HEAD
    vectorcallfunc vectorcall;
    State *state;
    PyObject *weak, *pure;
    Py_ssize_t number;
    PyObject *parts[1]; /* what it works with */
} Function;

static PyMemberDef function_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Function, vectorcall), READONLY, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(Function, weak), READONLY, NULL},
    {NULL}
};

/* Of `pure` and the parts behind it in `args`; their number is that of the type's and right. */
static PyObject *
function_of(PyObject *module, vectorcallfunc call, Py_ssize_t number, PyObject *const *args, Py_ssize_t parts)
{
    State *state = PyModule_GetState(module);
    Function *function = (Function *)state->function->tp_alloc(state->function, parts);
    if (function == NULL)
        return NULL;
    function->vectorcall = call;
    function->state = state;
    function->number = number;
    function->pure = Py_NewRef(args[0]);
    for (Py_ssize_t at = 0; at < parts; at++)
        function->parts[at] = Py_NewRef(args[at + 1]);
    return (PyObject *)function;
}

static int
function_traverse(PyObject *self, visitproc visit, void *arg)
{
    Function *function = (Function *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(function->pure);
    for (Py_ssize_t at = 0; at < Py_SIZE(self); at++)
        Py_VISIT(function->parts[at]);
    return 0;
}

/* No tp_clear: what is called may not lose its parts. A cycle through one is broken at the chain or the layer in it. */

static void
function_dealloc(PyObject *self)
{
    Function *function = (Function *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (function->weak != NULL)
        PyObject_ClearWeakRefs(self);
    Py_CLEAR(function->pure);
    for (Py_ssize_t at = 0; at < Py_SIZE(self); at++)
        Py_CLEAR(function->parts[at]);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *
function_getattro(PyObject *self, PyObject *name)
{
    PyObject *found = PyObject_GetAttr(((Function *)self)->pure, name);
    if (found != NULL || !PyErr_ExceptionMatches(PyExc_AttributeError))
        return found;
    PyObject *type, *error, *traceback;
    PyErr_Fetch(&type, &error, &traceback);
    found = PyObject_GenericGetAttr(self, name); /* __deepcopy__ is asked of the instance */
    if (found == NULL) {
        PyErr_Restore(type, error, traceback);
        return NULL;
    }
    Py_XDECREF(type);
    Py_XDECREF(error);
    Py_XDECREF(traceback);
    return found;
}

static int
function_setattro(PyObject *self, PyObject *name, PyObject *value)
{
    return PyObject_SetAttr(((Function *)self)->pure, name, value);
}

static PyObject *
function_repr(PyObject *self)
{
    return PyObject_Repr(((Function *)self)->pure);
}

static PyObject *
function_bound(PyObject *self, PyObject *instance, PyObject *owner)
{
    return instance == NULL || instance == Py_None ? Py_NewRef(self) : PyMethod_New(self, instance);
}

static PyObject *
function_itself(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return Py_NewRef(self);
}

static PyMethodDef function_methods[] = {
    {"__copy__", function_itself, METH_NOARGS, NULL},
    {"__deepcopy__", function_itself, METH_O, NULL},
    {NULL}
};

static PyType_Slot function_slots[] = {
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_traverse, function_traverse},
    {Py_tp_dealloc, function_dealloc},
    {Py_tp_getattro, function_getattro},
    {Py_tp_setattro, function_setattro},
    {Py_tp_repr, function_repr},
    {Py_tp_descr_get, function_bound},
    {Py_tp_members, function_members},
    {Py_tp_methods, function_methods},
    {0, NULL}
};

static PyType_Spec function_spec = {
    .name = "builtins.function",
    .basicsize = offsetof(Function, parts),
    .itemsize = sizeof(PyObject *),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_IMMUTABLETYPE
             | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_METHOD_DESCRIPTOR,
    .slots = function_slots,
};

/* -- errors in hand ------------------------------------------------------------------------------------------------ */

/* An error in hand, as an except block has it. */
typedef struct {
    PyObject *type, *error, *traceback, *before;
} Caught;

static void
catch_error(Caught *caught)
{
    PyErr_Fetch(&caught->type, &caught->error, &caught->traceback);
    PyErr_NormalizeException(&caught->type, &caught->error, &caught->traceback);
    if (caught->traceback != NULL)
        PyException_SetTraceback(caught->error, caught->traceback);
    caught->before = Py_XNewRef(PyThreadState_Get()->exc_info->exc_value);
    PyErr_SetHandledException(caught->error);
}

static void
leave_except(Caught *caught)
{
    PyErr_SetHandledException(caught->before);
    Py_CLEAR(caught->before);
}

static void
drop_error(Caught *caught)
{
    Py_CLEAR(caught->type);
    Py_CLEAR(caught->error);
    Py_CLEAR(caught->traceback);
}

/* Raise it again, with the traceback that it has by now. */
static void
raise_again(Caught *caught)
{
    PyErr_Restore(Py_NewRef(caught->type), Py_NewRef(caught->error), PyException_GetTraceback(caught->error));
    drop_error(caught);
}

/* Is the error in hand one that passes, such as an interrupt, for it is no fault of our own? */
static int
is_interrupt(void)
{
    return !PyErr_ExceptionMatches(PyExc_Exception);
}

/* An error of our own is in hand: have it noted, and forget it. */
static void
note_fault(PyObject *fault)
{
    Caught caught;
    catch_error(&caught);
    PyObject *noted = PyObject_CallOneArg(fault, caught.error);
    if (noted == NULL)
        PyErr_Clear();
    Py_XDECREF(noted);
    leave_except(&caught);
    drop_error(&caught);
}

/* -- the seam ------------------------------------------------------------------------------------------------------ */

/* Its number is the position of its layer. */
enum { CALLED, CHAIN, POSITION, ANSWERS, PASSES, LEFT, FAULT, PARTS };

/* The attributes of `request` and the tape on it, new references, when this seam is to write on it; else 0. */
static int
in_hand(Function *seam, PyObject *request, PyObject **attributes, Fields **tape)
{
    State *state = seam->state;
    if (Py_TYPE(request)->tp_getattro != PyObject_GenericGetAttr)
        return 0;
    *attributes = PyObject_GenericGetDict(request, NULL);
    PyObject *found = *attributes == NULL ? NULL : PyDict_GetItemWithError(*attributes, state->name[N_TAPE]);
    if (found != NULL && PyObject_TypeCheck(found, state->fields)) {
        *tape = (Fields *)found;
        PyObject *slots = (*tape)->slots;
        if ((*tape)->chain == seam->parts[CHAIN] && slots != NULL && Py_TYPE(slots) == state->slots && Py_SIZE(slots) > seam->number
            && ((Slots *)slots)->places[seam->number].stamps[ENTRY] == 0) {
            Py_INCREF(found);
            return 1;
        }
    }
    else if (found == NULL)
        PyErr_Clear();
    Py_CLEAR(*attributes);
    return 0;
}

/* The layer raised: the response that Django makes of it, or NULL with the error that goes on. */
static PyObject *
answer_error(Function *seam, PyObject *request, Fields *tape)
{
    Caught caught;
    catch_error(&caught);
    PyObject *response = PyObject_CallFunctionObjArgs(seam->parts[ANSWERS], request, caught.error, tape, seam->parts[POSITION], NULL);
    leave_except(&caught);
    if (response == seam->parts[PASSES]) {
        Py_CLEAR(response);
        raise_again(&caught);
    }
    else
        drop_error(&caught);
    return response;
}

/* Do both hold the very same, in the same order? */
static int
are_alike(PyObject *dict, PyObject *other)
{
    Py_ssize_t position = 0, position_other = 0;
    PyObject *name, *name_other, *value, *value_other;
    if (!PyDict_CheckExact(dict) || !PyDict_CheckExact(other) || PyDict_GET_SIZE(dict) != PyDict_GET_SIZE(other))
        return 0;
    while (PyDict_Next(dict, &position, &name, &value))
        if (!PyDict_Next(other, &position_other, &name_other, &value_other) || name != name_other || value != value_other)
            return 0;
    return 1;
}

/* Do `headers` differ from those last kept? 1, 0 or -1, an error. */
static int
differ(State *state, Fields *tape, PyObject *headers)
{
    if (tape->headers != NULL)
        return are_alike(headers, tape->headers) ? 0 : PyObject_RichCompareBool(headers, tape->headers, Py_NE);
    Pairs *before = headers_of(state, tape);
    Py_ssize_t position;
    if (before == NULL || before->items == NULL)
        return 1;
    if (PyDict_CheckExact(headers) && pairs_begin(before, headers, &position))
        return PyDict_GET_SIZE(headers) != before->count;
    PyObject *whole = pairs_dict(before, before->count);
    int differs = whole == NULL ? -1 : PyObject_RichCompareBool(headers, whole, Py_NE);
    Py_XDECREF(whole);
    return differs;
}

/* Write down what differs now that `response` came out. */
static int
write_down(Function *seam, Fields *tape, Place *place, PyObject *attributes, PyObject *response)
{
    State *state = seam->state;
    if (!is_as_wide(tape, attributes)) {
        PyObject *kept = look(state, tape, attributes);
        int failed = kept == NULL || put(place, ATTRIBUTES_OUT, kept) < 0;
        Py_XDECREF(kept);
        if (failed)
            return -1;
    }
    Answer answer = {NULL, NULL, NULL};
    int differs = answer_of(state, response, &answer);
    if (differs == 0)
        differs = differ(state, tape, answer.headers);
    if (differs == 0 && answer.status != tape->status)
        differs = tape->status == NULL ? 1 : PyObject_RichCompareBool(answer.status, tape->status, Py_NE);
    if (differs == 0)
        differs = PyObject_IsTrue(answer.cookies);
    if (differs == 1)
        differs = keep(state, tape, place, &answer);
    answer_forget(&answer);
    return differs;
}

/* What `called` answers. Python would pack the request of a layer whose class says in Python how it is called into a tuple, and
   out again. */
static PyObject *
answer_to(State *state, PyObject *called, PyObject *request)
{
    if (!PyType_HasFeature(Py_TYPE(called), Py_TPFLAGS_HAVE_VECTORCALL)) {
        PyObject *how = _PyType_Lookup(Py_TYPE(called), state->name[N_CALL]);
        if (how != NULL && PyFunction_Check(how)) {
            PyObject *const args[] = {called, request};
            Py_INCREF(how);
            PyObject *answer = PyObject_Vectorcall(how, args, 2, NULL);
            Py_DECREF(how);
            return answer;
        }
    }
    return PyObject_CallOneArg(called, request);
}

static PyObject *
call_layer(PyObject *self, PyObject *const *args, size_t given, PyObject *keywords)
{
    Function *seam = (Function *)self;
    PyObject *attributes;
    Fields *tape;
    if (PyVectorcall_NARGS(given) != 1 || keywords != NULL || !in_hand(seam, args[0], &attributes, &tape))
        return PyObject_Vectorcall(seam->pure, args, given, keywords);
    PyObject *request = args[0], *slots = Py_NewRef(tape->slots);
    Place *place = &((Slots *)slots)->places[seam->number];
    if (!is_as_wide(tape, attributes)) {
        PyObject *kept = look(seam->state, tape, attributes);
        if ((kept == NULL || put(place, ATTRIBUTES_IN, kept) < 0) && !is_interrupt())
            note_fault(seam->parts[FAULT]);
        Py_XDECREF(kept);
    }
    PyObject *response = NULL;
    if (!PyErr_Occurred()) {
        place->stamps[ENTRY] = now();
        response = answer_to(seam->state, seam->parts[CALLED], request);
        if (response == NULL)
            response = answer_error(seam, request, tape);
    }
    if (response != NULL) {
        place->stamps[EXIT] = now();
        if (write_down(seam, tape, place, attributes, response) < 0 && !is_interrupt()) {
            PyErr_Clear();
            PyObject *base = PyLong_FromSsize_t(seam->number * STRIDE), *done = NULL;
            if (base != NULL)
                done = PyObject_CallFunctionObjArgs(seam->parts[LEFT], tape, slots, base, attributes, response, NULL);
            if (done == NULL && !is_interrupt())
                note_fault(seam->parts[FAULT]);
            Py_XDECREF(done);
            Py_XDECREF(base);
        }
        if (PyErr_Occurred())
            Py_CLEAR(response);
    }
    Py_DECREF(slots);
    Py_DECREF(tape);
    Py_DECREF(attributes);
    return response;
}

/* seam(pure, called, chain, position, answers, passes, left, fault) */
static PyObject *
module_seam(PyObject *self, PyObject *const *args, Py_ssize_t given)
{
    if (given != PARTS + 1)
        return PyErr_Format(PyExc_TypeError, "seam(): %d arguments are expected, not %zd", PARTS + 1, given);
    Py_ssize_t number = PyLong_Check(args[POSITION + 1]) ? PyLong_AsSsize_t(args[POSITION + 1]) : -1;
    if (number < 0 || number > PY_SSIZE_T_MAX / (2 * STRIDE))
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_ValueError, "no layer can stand at %R", args[POSITION + 1]);
    return function_of(self, call_layer, number, args, PARTS);
}

/* -- the outermost middleware ---------------------------------------------------------------------------------------- */

/* What the outermost middleware does around a sync chain, middleware.py. Its number is how often a request is learned from. */
enum { INNER, OF_CHAIN, MIDDLEWARE, SURROUNDINGS, RECORDER, CURRENT, WAY_IN_HAND, SIEVES, NOTE, OUTERMOST_PARTS };

/* Is `flag`, a new reference, the truth itself? */
static int
is_true(PyObject *flag)
{
    Py_XDECREF(flag);
    return flag == Py_True;
}

/* Does the path of `request` begin with none of the prefixes that `around` sets apart? */
static int
is_not_apart(State *state, PyObject *around, PyObject *request)
{
    PyObject *apart = PyObject_GetAttr(around, state->name[N_APART]);
    PyObject *path = apart == NULL ? NULL : PyObject_GetAttr(request, state->name[N_PATH_INFO]);
    int is_not = path != NULL && PyUnicode_CheckExact(path) && PyTuple_CheckExact(apart);
    for (Py_ssize_t at = 0; is_not && at < PyTuple_GET_SIZE(apart); at++) {
        PyObject *prefix = PyTuple_GET_ITEM(apart, at);
        is_not = PyUnicode_Check(prefix) && PyUnicode_Tailmatch(path, prefix, 0, PY_SSIZE_T_MAX, -1) == 0;
    }
    Py_XDECREF(path);
    Py_XDECREF(apart);
    return is_not;
}

/* Do those switches still hold that were read last? */
static int
is_of_version(State *state, PyObject *around, PyObject *middleware)
{
    PyObject *version = PyObject_GetAttr(middleware, state->name[N_VERSION]), *asked = NULL;
    if (version != NULL && (asked = PyObject_GetAttr(around, state->name[N_CONTROL_VERSION])) != NULL)
        Py_SETREF(asked, PyObject_CallNoArgs(asked));
    int same = asked == NULL ? 0 : PyObject_RichCompareBool(asked, version, Py_EQ);
    Py_XDECREF(version);
    Py_XDECREF(asked);
    return same > 0;
}

static PyObject *
recorders(Function *function, int part, int name)
{
    PyObject *found = PyDict_GetItemWithError(function->parts[part], function->state->name[name]);
    if (found == NULL && !PyErr_Occurred())
        PyErr_SetObject(PyExc_KeyError, function->state->name[name]);
    return found;
}

static int
is_room(Function *function, int part)
{
    PyObject *room = recorders(function, part, N_ROOM), *waiting = room == NULL ? NULL : recorders(function, part, N_WAITING);
    return waiting != NULL && PyObject_Size(waiting) < PyLong_AsSsize_t(room);
}

/* The template for the slots of an ordinary request, a new reference; NULL: the counterpart is to do the work, or an error. */
static PyObject *
template_for(Function *outermost, PyObject *request)
{
    State *state = outermost->state;
    PyObject *around = outermost->parts[SURROUNDINGS], *middleware = outermost->parts[MIDDLEWARE], *template = NULL;
    if (Py_TYPE(request)->tp_getattro == PyObject_GenericGetAttr && is_true(PyObject_GetAttr(around, state->name[N_RECORDING]))
        && is_not_apart(state, around, request) && is_of_version(state, around, middleware) && is_room(outermost, RECORDER)) {
        PyObject *slots = PyObject_GetAttr(middleware, state->name[N_SLOTS]);
        if (slots != NULL && PyTuple_CheckExact(slots) && PyTuple_GET_SIZE(slots) == 2
            && Py_TYPE(PyTuple_GET_ITEM(slots, 0)) == state->slots && PyTuple_GET_ITEM(slots, 1) == state->nobody)
            template = Py_NewRef(PyTuple_GET_ITEM(slots, 0));
        Py_XDECREF(slots);
    }
    if (PyErr_Occurred() && !is_interrupt())
        PyErr_Clear();
    return template;
}

/* Have the tape learn what a chain does with attributes, when it is its turn. */
static int
learn(Function *outermost, Fields *tape)
{
    State *state = outermost->state;
    PyObject *learning = PyObject_GetAttr(outermost->parts[OF_CHAIN], state->name[N_LEARNING]);
    PyObject *watched = learning == NULL ? NULL : PyObject_GetAttr(outermost->parts[OF_CHAIN], state->name[N_WATCHED]);
    int failed = watched == NULL ? -1 : 0;
    if (!failed && (watched != state->nobody || PyObject_RichCompareBool(learning, state->zero, Py_GT) != 0
                    || tape->number % outermost->number == 0)) {
        PyObject *done = PyObject_CallMethodOneArg(outermost->parts[MIDDLEWARE], state->name[N_LEARN], (PyObject *)tape);
        failed = done == NULL ? -1 : 0;
        Py_XDECREF(done);
    }
    Py_XDECREF(learning);
    Py_XDECREF(watched);
    return failed;
}

/* A tape on `request`. */
static Fields *
open_tape(Function *outermost, PyObject *request, PyObject *template)
{
    State *state = outermost->state;
    PyObject *numbers = recorders(outermost, RECORDER, N_NUMBERS), *running = numbers == NULL ? NULL : recorders(outermost, RECORDER, N_RUNNING);
    PyObject *number = running == NULL ? NULL : PyIter_Next(numbers), *way;
    Fields *tape = number == NULL ? NULL : (Fields *)state->fields->tp_alloc(state->fields, 0);
    if (tape == NULL
        || begin(state, tape, outermost->parts[OF_CHAIN], template, number, request, state->nobody) < 0
        || learn(outermost, tape) < 0 || PyContextVar_Get(outermost->parts[WAY_IN_HAND], NULL, &way) < 0)
        goto failed;
    if (way != NULL && Py_TYPE(way) == state->way && ((Way *)way)->tape == Py_None && ((Way *)way)->source == tape->meta) {
        Py_SETREF(((Way *)way)->tape, Py_NewRef((PyObject *)tape));
        Py_XSETREF(tape->transport, Py_NewRef(way));
    }
    Py_XDECREF(way);
    if (PyObject_SetAttr(request, state->name[N_TAPE], (PyObject *)tape) < 0
        || PyObject_SetItem(running, number, (PyObject *)tape) < 0)
        goto failed;
    Py_DECREF(number);
    return tape;
failed:
    Py_XDECREF(number);
    Py_XDECREF(tape);
    if (!PyErr_Occurred())
        PyErr_SetString(PyExc_RuntimeError, "there are no more numbers for tapes");
    return NULL;
}

/* Have a method of the middleware be told of the tape and two others. */
static int
tell(Function *outermost, int name, Fields *tape, PyObject *first, PyObject *second)
{
    PyObject *args[] = {outermost->parts[MIDDLEWARE], (PyObject *)tape, first, second};
    PyObject *done = PyObject_VectorcallMethod(outermost->state->name[name], args, second == NULL ? 3 : 4, NULL);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* The chain is through. */
static int
close_tape(Function *outermost, Fields *tape, PyObject *request, PyObject *response)
{
    PyObject *attributes = PyObject_GenericGetDict(request, NULL);
    int done = attributes == NULL ? -1 : through(outermost->state, tape, attributes, response, outermost->parts[SIEVES]);
    Py_XDECREF(attributes);
    if (done > 0)
        return 0;
    if (done == 0)
        return tell(outermost, N_FOLLOW_ON, tape, response, NULL);
    if (is_interrupt())
        return -1;
    PyErr_Clear();
    return tell(outermost, N_CLOSE, tape, request, response);
}

static PyObject *
call_outermost(PyObject *self, PyObject *const *args, size_t given, PyObject *keywords)
{
    Function *outermost = (Function *)self;
    PyObject *template = PyVectorcall_NARGS(given) == 1 && keywords == NULL ? template_for(outermost, args[0]) : NULL;
    if (template == NULL)
        return PyErr_Occurred() ? NULL : PyObject_Vectorcall(outermost->pure, args, given, keywords);
    PyObject *request = args[0], *get_response = outermost->parts[INNER];
    Fields *tape = open_tape(outermost, request, template);
    PyObject *token = tape == NULL ? NULL : PyContextVar_Set(outermost->parts[CURRENT], (PyObject *)tape);
    Py_DECREF(template);
    if (token == NULL) {
        Py_XDECREF(tape);
        if (is_interrupt())
            return NULL;
        note_fault(outermost->parts[NOTE]);
        return PyObject_CallOneArg(get_response, request);
    }
    tape->start = now();
    PyObject *response = PyObject_CallOneArg(get_response, request);
    tape->end = now();
    if (response == NULL) {
        Caught caught;
        catch_error(&caught);
        int told = tell(outermost, N_ABORT, tape, caught.error, NULL);
        leave_except(&caught);
        if (told == 0)
            raise_again(&caught);
        else
            drop_error(&caught);
        PyObject *type, *error, *traceback;
        PyErr_Fetch(&type, &error, &traceback);
        if (PyContextVar_Reset(outermost->parts[CURRENT], token) < 0)
            PyErr_Clear();
        PyErr_Restore(type, error, traceback);
    }
    else if (PyContextVar_Reset(outermost->parts[CURRENT], token) < 0 || close_tape(outermost, tape, request, response) < 0)
        Py_CLEAR(response);
    Py_DECREF(token);
    Py_DECREF(tape);
    return response;
}

/* outermost(pure, get_response, chain, middleware, surroundings, recorder, current, way_in_hand, sieves, note, learn_again) */
static PyObject *
module_outermost(PyObject *self, PyObject *const *args, Py_ssize_t given)
{
    if (given != OUTERMOST_PARTS + 2)
        return PyErr_Format(PyExc_TypeError, "outermost(): %d arguments are expected, not %zd", OUTERMOST_PARTS + 2, given);
    Py_ssize_t number = PyLong_AsSsize_t(args[OUTERMOST_PARTS + 1]);
    if (number < 1)
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_ValueError, "nothing is learned every %zd requests", number);
    return function_of(self, call_outermost, number, args, OUTERMOST_PARTS);
}

/* -- the end of a request ------------------------------------------------------------------------------------------- */

/* What is done when Django tells that a request is finished, probes/server.py. Its number is that of a batch. */
enum { QUEUES, END_PARTS };

/* The tape whose response is being closed on this thread, a new reference, or NULL: there is none, or an error is. */
static PyObject *
finished(State *state)
{
    PyObject *thread = thread_in_hand(state);
    if (thread == NULL)
        return NULL;
    PyObject *found = Py_XNewRef(PyDict_GetItemWithError(state->closing, thread));
    if (found != NULL && PyDict_DelItem(state->closing, thread) < 0)
        Py_CLEAR(found);
    Py_DECREF(thread);
    if (found != NULL && PyObject_TypeCheck(found, state->fields))
        ((Fields *)found)->finished_at = now();
    return found;
}

/* Is the end of a request told by Django, and not by the server behind ASGI? */
static int
is_told_by_django(State *state, Fields *tape)
{
    if (tape->transport == Py_None)
        return 1;
    PyObject *interface = PyObject_GetAttr(tape->chain, state->name[N_INTERFACE]);
    int is_wsgi = interface == NULL ? -1 : PyObject_RichCompareBool(interface, state->name[N_WSGI], Py_EQ);
    Py_XDECREF(interface);
    return is_wsgi;
}

/* The tape waits with the others: 1; 0: its like go elsewhere, or there is no room. */
static int
let_wait(Function *receiver, Fields *tape)
{
    PyObject *diversions = recorders(receiver, QUEUES, N_DIVERSIONS), *waiting = recorders(receiver, QUEUES, N_WAITING);
    if (diversions == NULL || waiting == NULL || PyObject_Size(diversions) != 0 || !is_room(receiver, QUEUES))
        return PyErr_Occurred() ? -1 : 0;
    rest(tape);
    PyObject *done = PyObject_CallMethodOneArg(waiting, receiver->state->name[N_APPEND], (PyObject *)tape);
    Py_XDECREF(done);
    PyObject *asleep = done == NULL ? NULL : recorders(receiver, QUEUES, N_ASLEEP);
    if (asleep == NULL)
        return -1;
    if (asleep == Py_False && PyObject_Size(waiting) != receiver->number)
        return 1;
    PyObject *wake = recorders(receiver, QUEUES, N_WAKE);
    done = wake == NULL ? NULL : PyObject_CallNoArgs(wake);
    Py_XDECREF(done);
    return done == NULL ? -1 : 1;
}

static PyObject *
call_request_finished(PyObject *self, PyObject *const *Py_UNUSED(args), size_t Py_UNUSED(given), PyObject *Py_UNUSED(keywords))
{
    Function *receiver = (Function *)self;
    PyObject *tape = finished(receiver->state), *done = NULL;
    if (tape == NULL)
        return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
    PyObject *running = recorders(receiver, QUEUES, N_RUNNING);
    int told = running == NULL ? -1 : is_told_by_django(receiver->state, (Fields *)tape);
    if (told == 1)
        told = over((Fields *)tape, running);
    if (told == 1 && (told = let_wait(receiver, (Fields *)tape)) == 0) {
        PyObject *hand_over = recorders(receiver, QUEUES, N_HAND_OVER);
        done = hand_over == NULL ? NULL : PyObject_CallOneArg(hand_over, tape);
        told = done == NULL ? -1 : 1;
        Py_XDECREF(done);
    }
    Py_DECREF(tape);
    return told < 0 ? NULL : Py_NewRef(Py_None);
}

/* request_finished(pure, recorder, batch) */
static PyObject *
module_request_finished(PyObject *self, PyObject *const *args, Py_ssize_t given)
{
    if (given != END_PARTS + 2)
        return PyErr_Format(PyExc_TypeError, "request_finished(): %d arguments are expected, not %zd", END_PARTS + 2, given);
    Py_ssize_t number = PyLong_AsSsize_t(args[END_PARTS + 1]);
    return number == -1 && PyErr_Occurred() ? NULL : function_of(self, call_request_finished, number, args, END_PARTS);
}

/* -- the module ---------------------------------------------------------------------------------------------------- */

/* Called as those are that take many arguments: Python calls these without a detour. */
static PyObject *
module_now(PyObject *Py_UNUSED(self), PyObject *const *Py_UNUSED(args), Py_ssize_t given)
{
    return given ? PyErr_Format(PyExc_TypeError, "now(): %zd arguments are given", given) : PyLong_FromLongLong(now());
}

/* finished(): the tape whose response is being closed on this thread, None; it is finished. */
static PyObject *
module_finished(PyObject *self, PyObject *const *Py_UNUSED(args), Py_ssize_t given)
{
    if (given)
        return PyErr_Format(PyExc_TypeError, "finished(): %zd arguments are given", given);
    PyObject *tape = finished(PyModule_GetState(self));
    return tape == NULL && !PyErr_Occurred() ? Py_NewRef(Py_None) : tape;
}

static PyObject *
snapshot(PyObject *self, PyObject *response)
{
    return snapshot_of(PyModule_GetState(self), response);
}

/* current_frames(): sys._current_frames() with the collector at rest, as recording/frames.py tells. Nobody else runs meanwhile. */
static PyObject *
module_current_frames(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(ignored))
{
    PyObject *asked = PySys_GetObject("_current_frames");
    if (asked == NULL)
        return PyErr_Format(PyExc_RuntimeError, "this Python does not tell where threads are: it has no sys._current_frames");
    Py_INCREF(asked);
    int collects = PyGC_Disable();
    PyObject *frames = PyObject_CallNoArgs(asked);
    if (collects)
        PyGC_Enable();
    Py_DECREF(asked);
    return frames;
}

static PyMethodDef module_methods[] = {
    {"current_frames", module_current_frames, METH_NOARGS, NULL},
    {"handed_out", module_handed_out, METH_O, NULL},
    {"finished", (PyCFunction)(void (*)(void))module_finished, METH_FASTCALL, NULL},
    {"arrived", (PyCFunction)(void (*)(void))module_arrived, METH_FASTCALL, NULL},
    {"begun", (PyCFunction)(void (*)(void))module_begun, METH_FASTCALL, NULL},
    {"now", (PyCFunction)(void (*)(void))module_now, METH_FASTCALL, NULL},
    {"snapshot", snapshot, METH_O, NULL},
    {"outline", (PyCFunction)(void (*)(void))outline_of, METH_FASTCALL, NULL},
    {"seam", (PyCFunction)(void (*)(void))module_seam, METH_FASTCALL, NULL},
    {"request_finished", (PyCFunction)(void (*)(void))module_request_finished, METH_FASTCALL, NULL},
    {"outermost", (PyCFunction)(void (*)(void))module_outermost, METH_FASTCALL, NULL},
    {NULL}
};

static int
module_exec(PyObject *self)
{
    State *state = PyModule_GetState(self);
    for (int at = 0; at < NAMES; at++)
        if ((state->name[at] = PyUnicode_InternFromString(names[at])) == NULL)
            return -1;
    state->zero = PyLong_FromLong(0);
    state->one = PyLong_FromLong(1);
    state->hook = PyLong_FromLong(HOOK);
    state->ask_again = PyLong_FromLong(-1);
    state->nobody = PyTuple_New(0);
    state->nothing = PyDict_New();
    state->never = Py_BuildValue("(ii)", 0, 0);
    PyObject *threading = PyImport_ImportModule("threading");
    PyObject *get_ident = threading == NULL ? NULL : PyObject_GetAttrString(threading, "get_ident");
    Py_XDECREF(threading);
    PyObject *home = get_ident == NULL ? NULL : PyObject_GetAttrString(get_ident, "__module__");
    int own = home == NULL ? -1 : PyCFunction_CheckExact(get_ident) && PyUnicode_CompareWithASCIIString(home, "_thread") == 0;
    Py_XDECREF(home);
    if (own == 0)
        state->get_ident = Py_NewRef(get_ident);
    Py_XDECREF(get_ident);
    if (own < 0)
        return -1;
    state->closing = PyDict_New();
    if (state->closing == NULL || PyModule_AddObjectRef(self, "closing", state->closing) < 0)
        return -1;
    if (PyErr_Occurred())
        return -1;
    state->fields = (PyTypeObject *)PyType_FromModuleAndSpec(self, &fields_spec, NULL);
    if (state->fields == NULL || PyModule_AddObjectRef(self, "Fields", (PyObject *)state->fields) < 0)
        return -1;
    state->slots = (PyTypeObject *)PyType_FromModuleAndSpec(self, &slots_spec, NULL);
    if (state->slots == NULL || PyModule_AddType(self, state->slots) < 0)
        return -1;
    state->way = (PyTypeObject *)PyType_FromModuleAndSpec(self, &way_spec, NULL);
    if (state->way == NULL || PyModule_AddObjectRef(self, "Way", (PyObject *)state->way) < 0)
        return -1;
    state->function = (PyTypeObject *)PyType_FromModuleAndSpec(self, &function_spec, NULL);
    return state->function == NULL ? -1 : 0;
}

static int
module_traverse(PyObject *self, visitproc visit, void *arg)
{
    State *state = PyModule_GetState(self);
    Py_VISIT(state->sieves);
    Py_VISIT(state->sieve);
    Py_VISIT(state->closing);
    Py_VISIT(state->get_ident);
    Py_VISIT(state->fields);
    Py_VISIT(state->slots);
    Py_VISIT(state->way);
    Py_VISIT(state->function);
    return 0;
}

/* Only what can be part of a cycle: a seam may still be called while the collector clears the rest. */
static int
module_clear(PyObject *self)
{
    State *state = PyModule_GetState(self);
    Py_CLEAR(state->sieves);
    Py_CLEAR(state->sieve);
    Py_CLEAR(state->fields);
    Py_CLEAR(state->slots);
    Py_CLEAR(state->way);
    Py_CLEAR(state->function);
    return 0;
}

static void
module_free(void *self)
{
    State *state = PyModule_GetState(self);
    module_clear(self);
    Py_CLEAR(state->closing);
    Py_CLEAR(state->get_ident);
    Py_CLEAR(state->zero);
    Py_CLEAR(state->one);
    Py_CLEAR(state->hook);
    Py_CLEAR(state->ask_again);
    Py_CLEAR(state->nobody);
    Py_CLEAR(state->nothing);
    Py_CLEAR(state->never);
    for (int at = 0; at < NAMES; at++)
        Py_CLEAR(state->name[at]);
}

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, module_exec}, {0, NULL}};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "pipeline_inspector._compiled",
    .m_size = sizeof(State),
    .m_methods = module_methods,
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
    .m_free = module_free,
};

PyMODINIT_FUNC
PyInit__compiled(void)
{
    return PyModuleDef_Init(&module);
}
