/* The compiled half of the request path: the fields of a tape, and the sync seam between two layers.

   Each does what its Python counterpart does (recording/fields.py, probes/layers.py) in the ordinary case, without a Python
   frame. Whatever is unusual, such as a request that is no plain object, a slot that is taken or a response of an odd shape,
   is given to the counterpart. Nothing here is kept from one request to the next. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#ifdef Py_GIL_DISABLED
#error "It relies on the interpreter's lock: a free-threaded Python runs the Python half."
#endif

/* Places in the slots, as in recording/slots.py. */
enum { ENTRY, ATTRIBUTES_IN, EXIT, STATUS, HEADERS, COOKIES, ATTRIBUTES_OUT, HOP_START, HOP_END, STRIDE };

enum {
    N_TAPE, N_HEADERS, N_STORE, N_STATUS_CODE, N_COOKIES, N_VALUE, N_ALL_OF, N_META, N_PATH, N_METHOD, N_RESOLVER_MATCH,
    N_COPY, N_ITEMS, NAMES
};
static const char *const names[NAMES] = {
    "_pipeline_tape", "headers", "_store", "status_code", "cookies", "value", "all_of", "META", "path", "method",
    "resolver_match", "copy", "items",
};

typedef struct {
    PyTypeObject *fields, *seam;
    PyObject *now, *wall, *zero, *ask_again, *nobody, *nothing, *never;
    PyObject *name[NAMES];
} State;

static struct PyModuleDef module;

/* -- the fields of a tape ------------------------------------------------------------------------------------------ */

/* Written when a tape is begun. */
#define BEGUN(F)                                                                                                        \
    F(came) F(chain) F(events) F(first) F(headers) F(meta) F(method) F(newest) F(number) F(off) F(open) F(opened_at)    \
    F(path) F(slots) F(status) F(thread) F(view_made) F(wall) F(width)

/* Written later, or by few requests; what they hold until then. */
#define ZERO(F)                                                                                                         \
    F(dropped) F(query_count) F(template_count) F(start) F(end) F(closed_at) F(finished_at) F(resolve_start)            \
    F(resolve_end) F(view_start) F(view_end) F(view_thread)
#define NONE(F)                                                                                                         \
    F(view) F(match) F(tried) F(urlconf) F(response) F(attributes) F(left) F(transport) F(task) F(errors) F(body_bytes)
#define NOT_YET(F) F(learning) F(aborted) F(streaming)
#define OTHER(F) F(only_added) F(watched) F(seen) F(inside)

#define FIELDS(F) BEGUN(F) ZERO(F) NONE(F) NOT_YET(F) OTHER(F)

typedef struct {
    PyObject_HEAD
#define DECLARE(field) PyObject *field;
    FIELDS(DECLARE)
} Fields;

static PyMemberDef fields_members[] = {
#define MEMBER(field) {#field, T_OBJECT_EX, offsetof(Fields, field), 0, NULL},
    FIELDS(MEMBER)
#undef MEMBER
    {NULL}
};

static State *
state_of(PyObject *self)
{
    PyObject *found = PyType_GetModuleByDef(Py_TYPE(self), &module);
    return found == NULL ? NULL : PyModule_GetState(found);
}

static int
fields_traverse(PyObject *self, visitproc visit, void *arg)
{
    Fields *tape = (Fields *)self;
    Py_VISIT(Py_TYPE(self));
#define VISIT(field) Py_VISIT(tape->field);
    FIELDS(VISIT)
#undef VISIT
    return 0;
}

static int
fields_clear(PyObject *self)
{
    Fields *tape = (Fields *)self;
#define CLEAR(field) Py_CLEAR(tape->field);
    FIELDS(CLEAR)
#undef CLEAR
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

static void
forget(State *state, Fields *tape)
{
#define SET_ZERO(field) Py_XSETREF(tape->field, Py_NewRef(state->zero));
    ZERO(SET_ZERO)
#define SET_NONE(field) Py_XSETREF(tape->field, Py_NewRef(Py_None));
    NONE(SET_NONE)
#define SET_NOT_YET(field) Py_XSETREF(tape->field, Py_NewRef(Py_False));
    NOT_YET(SET_NOT_YET)
    Py_XSETREF(tape->only_added, Py_NewRef(Py_True));
    Py_XSETREF(tape->watched, Py_NewRef(state->nobody));
    Py_XSETREF(tape->seen, Py_NewRef(state->nothing));
    Py_XSETREF(tape->inside, Py_NewRef(state->never));
}

static PyObject *
fields_forget(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    State *state = state_of(self);
    if (state == NULL)
        return NULL;
    forget(state, (Fields *)self);
    Py_RETURN_NONE;
}

static void
leave_out(PyObject *ours)
{
    if (ours != NULL && PyObject_GC_IsTracked(ours))
        PyObject_GC_UnTrack(ours);
}

static PyObject *
fields_rest(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    Fields *tape = (Fields *)self;
    leave_out(self);
    leave_out(tape->slots);
    leave_out(tape->events);
    leave_out(tape->came);
    leave_out(tape->view);
    leave_out(tape->headers);
    leave_out(tape->response);
    leave_out(tape->attributes);
    leave_out(tape->transport);
    Py_RETURN_NONE;
}

static int
fields_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"chain", "slots", "number", "request", "off", NULL};
    Fields *tape = (Fields *)self;
    State *state = state_of(self);
    PyObject *chain, *slots, *number, *request, *off = NULL;
    if (state == NULL || !PyArg_ParseTupleAndKeywords(args, kwargs, "OO!OO|O:Tape", keywords, &chain, &PyList_Type, &slots,
                                                      &number, &request, &off))
        return -1;
    if (begin_with(&tape->opened_at, PyObject_CallNoArgs(state->now)) < 0
        || begin_with(&tape->wall, PyObject_CallNoArgs(state->wall)) < 0
        || begin_with(&tape->thread, PyLong_FromUnsignedLong(PyThread_get_thread_ident())) < 0
        || begin_with(&tape->slots, PyList_GetSlice(slots, 0, PyList_GET_SIZE(slots))) < 0
        || begin_with(&tape->meta, PyObject_GetAttr(request, state->name[N_META])) < 0
        || begin_with(&tape->path, PyObject_GetAttr(request, state->name[N_PATH])) < 0
        || begin_with(&tape->method, PyObject_GetAttr(request, state->name[N_METHOD])) < 0
        || begin_with(&tape->events, PyList_New(0)) < 0 || begin_with(&tape->came, PyList_New(0)) < 0)
        return -1;
    forget(state, tape);
    begin_with(&tape->chain, Py_NewRef(chain));
    begin_with(&tape->off, Py_NewRef(off == NULL ? state->nobody : off));
    begin_with(&tape->number, Py_NewRef(number));
    begin_with(&tape->open, Py_NewRef(Py_True));
    begin_with(&tape->view_made, Py_NewRef(state->zero));
    begin_with(&tape->status, Py_NewRef(state->zero));
    begin_with(&tape->headers, Py_NewRef(Py_None));
    begin_with(&tape->newest, Py_NewRef(state->name[N_TAPE]));
    PyObject *attributes = PyObject_GenericGetDict(request, NULL);
    if (attributes == NULL)
        return -1;
    int failed = begin_with(&tape->first, PyDict_Copy(attributes)) < 0
                 || begin_with(&tape->width, PyLong_FromSsize_t(PyDict_GET_SIZE(attributes) + 1)) < 0;
    Py_DECREF(attributes);
    return failed ? -1 : 0;
}

static int
is_as_wide(Fields *tape, PyObject *attributes)
{
    return tape->width != NULL && PyLong_AsSsize_t(tape->width) == PyDict_GET_SIZE(attributes);
}

/* What came, newest first, or NULL without an exception where not only new attributes came. Making an object may run the
   collector, and what that calls may do anything: nothing is taken as it was before. */
static PyObject *
new_ones(Fields *tape, PyObject *attributes, Py_ssize_t width)
{
    Py_ssize_t count = PyDict_GET_SIZE(attributes), place = 0, position = 0;
    PyObject *name, *value, *items = PyList_New(count - width);
    if (items == NULL)
        return NULL;
    for (; place < count && PyDict_Next(attributes, &position, &name, &value); place++) {
        if (place == width - 1 && name != tape->newest)
            break;
        if (place >= width) {
            Py_INCREF(name);
            Py_INCREF(value);
            PyObject *item = PyTuple_Pack(2, name, value);
            Py_DECREF(name);
            Py_DECREF(value);
            if (item == NULL)
                break;
            PyList_SET_ITEM(items, count - place - 1, item);
        }
    }
    if (place == count)
        return items;
    Py_DECREF(items);
    return NULL;
}

static PyObject *
look(State *state, Fields *tape, PyObject *attributes)
{
    Py_ssize_t width = tape->width == NULL ? -1 : PyLong_AsSsize_t(tape->width);
    if (width == -1 && PyErr_Occurred())
        return NULL;
    if (width > 0 && width < PyDict_GET_SIZE(attributes) && tape->came != NULL && PyList_CheckExact(tape->came)) {
        PyObject *items = new_ones(tape, attributes, width);
        PyObject *count = items == NULL ? NULL : PyLong_FromSsize_t(width + PyList_GET_SIZE(items));
        if (count != NULL && tape->came != NULL && PyList_SetSlice(tape->came, 0, 0, items) == 0) {
            Py_XSETREF(tape->newest, Py_NewRef(PyTuple_GET_ITEM(PyList_GET_ITEM(items, 0), 0)));
            Py_XSETREF(tape->width, Py_NewRef(count));
            Py_DECREF(items);
            return count;
        }
        Py_XDECREF(items);
        Py_XDECREF(count);
        if (PyErr_Occurred())
            return NULL;
    }
    return PyObject_CallMethodOneArg((PyObject *)tape, state->name[N_ALL_OF], attributes);
}

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

/* Names and kinds of what came, oldest first, or NULL; without an exception when anything else was done to `attributes` than
   that `match` was set. */
static PyObject *
what_came(State *state, Fields *tape, PyObject *attributes, PyObject *match)
{
    PyObject *resolver_match = state->name[N_RESOLVER_MATCH];
    Py_ssize_t came = PyList_GET_SIZE(tape->came), place = 0, position = 0, position_first = 0;
    PyObject *found = NULL, *all_names = PyTuple_New(came), *kinds = PyTuple_New(came);
    PyObject *name, *value, *name_first, *value_first;
    Py_ssize_t begun = PyDict_GET_SIZE(tape->first);
    int begin = all_names != NULL && kinds != NULL && PyList_GET_SIZE(tape->came) == came
                && PyDict_GET_SIZE(attributes) == begun + 1 + came
                && PyDict_GetItemWithError(tape->first, resolver_match) == Py_None;
    while (begin && place < begun + 1 + came && PyDict_Next(attributes, &position, &name, &value)) {
        if (place < begun) {
            if (!PyDict_Next(tape->first, &position_first, &name_first, &value_first) || name != name_first
                || value != (name == resolver_match ? match : value_first))
                break;
        }
        else if (place == begun) {
            if (name != state->name[N_TAPE] || value != (PyObject *)tape)
                break;
        }
        else {
            PyObject *item = PyList_GET_ITEM(tape->came, came - (place - begun));
            if (!PyTuple_CheckExact(item) || PyTuple_GET_SIZE(item) != 2 || PyTuple_GET_ITEM(item, 0) != name
                || PyTuple_GET_ITEM(item, 1) != value)
                break;
            PyTuple_SET_ITEM(all_names, place - begun - 1, Py_NewRef(name));
            PyTuple_SET_ITEM(kinds, place - begun - 1, Py_NewRef((PyObject *)Py_TYPE(value)));
        }
        if (++place == begun + 1 + came)
            found = PyTuple_Pack(2, all_names, kinds);
    }
    Py_XDECREF(all_names);
    Py_XDECREF(kinds);
    return found;
}

/* left_behind(attributes, match, sieves) */
static PyObject *
fields_left_behind(PyObject *self, PyObject *const *args, Py_ssize_t given)
{
    Fields *tape = (Fields *)self;
    State *state = state_of(self);
    if (state == NULL)
        return NULL;
    if (given != 3 || !PyDict_Check(args[0]) || !PyDict_Check(args[2]) || tape->first == NULL || !PyDict_Check(tape->first)
        || tape->came == NULL || !PyList_CheckExact(tape->came)) {
        PyErr_SetString(PyExc_TypeError, "left_behind(attributes, match, sieves): two are dicts, and the tape is whole");
        return NULL;
    }
    PyObject *key = what_came(state, tape, args[0], args[1]);
    if (key == NULL) {
        if (PyErr_Occurred())
            return NULL;
        Py_RETURN_NONE;
    }
    PyObject *sieve = Py_XNewRef(PyDict_GetItemWithError(args[2], key));
    if (sieve == NULL && !PyErr_Occurred())
        sieve = PyObject_GetItem(args[2], key);
    Py_DECREF(key);
    if (sieve == NULL || !PyTuple_Check(sieve) || PyTuple_GET_SIZE(sieve) != 2
        || !PyTuple_Check(PyTuple_GET_ITEM(sieve, 1))) {
        Py_XDECREF(sieve);
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_TypeError, "a sieve is expected, not %R", args[2]);
    }
    PyObject *places = PyTuple_GET_ITEM(sieve, 1), *came = Py_NewRef(tape->came), *kept = PyDict_New();
    for (Py_ssize_t at = 0; kept != NULL && at < PyTuple_GET_SIZE(places); at++) {
        PyObject *name, *tell, *value = NULL, *place = PyTuple_GET_ITEM(places, at);
        Py_ssize_t number;
        if (!PyArg_ParseTuple(place, "nOO", &number, &name, &tell))
            Py_CLEAR(kept);
        else if (number < 0 || number >= PyList_GET_SIZE(came)) {
            PyErr_Format(PyExc_IndexError, "nothing came at %zd", number);
            Py_CLEAR(kept);
        }
        else {
            PyObject *item = Py_NewRef(PyList_GET_ITEM(came, PyList_GET_SIZE(came) - 1 - number));
            value = PyTuple_GET_ITEM(item, 1);
            value = tell == Py_None ? Py_NewRef(value) : PyObject_CallOneArg(tell, value);
            if (value == NULL || PyDict_SetItem(kept, name, value) < 0)
                Py_CLEAR(kept);
            Py_XDECREF(value);
            Py_DECREF(item);
        }
    }
    PyObject *both = kept == NULL ? NULL : PyTuple_Pack(2, PyTuple_GET_ITEM(sieve, 0), kept);
    Py_XDECREF(kept);
    Py_DECREF(came);
    Py_DECREF(sieve);
    return both;
}

/* Put `value`, a reference that is taken, into `slots`. */
static void
put(PyObject *slots, Py_ssize_t place, PyObject *value)
{
    if (place < PyList_GET_SIZE(slots))
        PyList_SetItem(slots, place, value);
    else
        Py_DECREF(value);
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

/* Keep `answer` in the slots from `base` on, as it differs from the boundary before. */
static int
keep(State *state, Fields *tape, PyObject *slots, Py_ssize_t base, Answer *answer)
{
    PyObject *copied = PyDict_CheckExact(answer->headers)
                           ? PyDict_Copy(answer->headers)
                           : PyObject_CallMethodNoArgs(answer->headers, state->name[N_COPY]);
    if (copied == NULL)
        return -1;
    PyObject *cookies = cookies_of(state, answer->cookies);
    if (cookies == NULL) {
        Py_DECREF(copied);
        return -1;
    }
    put(slots, base + HEADERS, Py_NewRef(copied));
    Py_XSETREF(tape->headers, copied);
    put(slots, base + STATUS, Py_NewRef(answer->status));
    if (cookies == state->zero) {
        Py_DECREF(cookies);
        Py_XSETREF(tape->status, Py_NewRef(answer->status));
    }
    else {
        put(slots, base + COOKIES, cookies);
        Py_XSETREF(tape->status, Py_NewRef(state->ask_again));
    }
    return 0;
}

static PyObject *
fields_answered(PyObject *self, PyObject *const *args, Py_ssize_t given)
{
    Fields *tape = (Fields *)self;
    State *state = state_of(self);
    if (state == NULL)
        return NULL;
    if (given != 2 || tape->slots == NULL || !PyList_CheckExact(tape->slots)) {
        PyErr_SetString(PyExc_TypeError, "answered(base, response): two are expected, and a tape with slots");
        return NULL;
    }
    Py_ssize_t base = PyLong_AsSsize_t(args[0]);
    if (base < 0)
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_IndexError, "no slots at %zd", base);
    Answer answer = {NULL, NULL, NULL};
    PyObject *slots = Py_NewRef(tape->slots);
    int failed = answer_of(state, args[1], &answer) < 0 || keep(state, tape, slots, base, &answer) < 0;
    Py_DECREF(slots);
    answer_forget(&answer);
    if (failed)
        return NULL;
    Py_RETURN_NONE;
}

static PyMethodDef fields_methods[] = {
    {"looked", fields_looked, METH_O, NULL},
    {"forget", fields_forget, METH_NOARGS, NULL},
    {"rest", fields_rest, METH_NOARGS, NULL},
    {"left_behind", (PyCFunction)(void (*)(void))fields_left_behind, METH_FASTCALL, NULL},
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
    {Py_tp_methods, fields_methods},
    {0, NULL}
};

static PyType_Spec fields_spec = {
    .name = "pipeline_inspector._compiled.Fields",
    .basicsize = sizeof(Fields),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = fields_slots,
};

/* snapshot(response, known=None) */
static PyObject *
snapshot(PyObject *self, PyObject *const *args, Py_ssize_t given)
{
    State *state = PyModule_GetState(self);
    if (given < 1 || given > 2)
        return PyErr_Format(PyExc_TypeError, "snapshot(response, known=None): %zd arguments are given", given);
    Answer answer = {NULL, NULL, NULL};
    PyObject *taken = NULL, *headers = NULL, *cookies = NULL;
    if (answer_of(state, args[0], &answer) == 0) {
        int known = given == 2 && args[1] != Py_None ? PyObject_RichCompareBool(answer.headers, args[1], Py_EQ) : 0;
        if (known == 1)
            headers = Py_NewRef(args[1]);
        else if (known == 0)
            headers = PyObject_CallMethodNoArgs(answer.headers, state->name[N_COPY]);
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

/* -- the seam ------------------------------------------------------------------------------------------------------ */

#define PARTS(F) F(pure) F(called) F(chain) F(position) F(answers) F(passes) F(left) F(fault)

typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    State *state;
    PARTS(DECLARE)
    PyObject *weak;
    Py_ssize_t base;
} Seam;

static PyMemberDef seam_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Seam, vectorcall), READONLY, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(Seam, weak), READONLY, NULL},
    {NULL}
};

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

/* An error of our own is in hand: have it noted, and forget it. */
static void
note_fault(Seam *seam)
{
    Caught caught;
    catch_error(&caught);
    PyObject *noted = PyObject_CallOneArg(seam->fault, caught.error);
    if (noted == NULL)
        PyErr_Clear();
    Py_XDECREF(noted);
    leave_except(&caught);
    drop_error(&caught);
}

/* The attributes of `request` and the tape on it, new references, when this seam is to write on it; else 0. */
static int
in_hand(Seam *seam, PyObject *request, PyObject **attributes, Fields **tape)
{
    State *state = seam->state;
    if (Py_TYPE(request)->tp_getattro != PyObject_GenericGetAttr)
        return 0;
    *attributes = PyObject_GenericGetDict(request, NULL);
    PyObject *found = *attributes == NULL ? NULL : PyDict_GetItemWithError(*attributes, state->name[N_TAPE]);
    if (found != NULL && PyObject_TypeCheck(found, state->fields)) {
        *tape = (Fields *)found;
        PyObject *slots = (*tape)->slots;
        if ((*tape)->chain == seam->chain && slots != NULL && PyList_CheckExact(slots)
            && PyList_GET_SIZE(slots) >= seam->base + STRIDE && PyList_GET_ITEM(slots, seam->base) == state->zero) {
            Py_INCREF(found);
            return 1;
        }
    }
    else if (found == NULL)
        PyErr_Clear();
    Py_CLEAR(*attributes);
    return 0;
}

static void
stamp(Seam *seam, PyObject *slots, Py_ssize_t place)
{
    PyObject *moment = PyObject_CallNoArgs(seam->state->now);
    if (moment == NULL)
        note_fault(seam);
    else
        put(slots, place, moment);
}

/* The layer raised: the response that Django makes of it, or NULL with the error that goes on. */
static PyObject *
answer_error(Seam *seam, PyObject *request, Fields *tape)
{
    Caught caught;
    catch_error(&caught);
    PyObject *response = PyObject_CallFunctionObjArgs(seam->answers, request, caught.error, tape, seam->position, NULL);
    leave_except(&caught);
    if (response == seam->passes) {
        Py_CLEAR(response);
        raise_again(&caught);
    }
    else
        drop_error(&caught);
    return response;
}

/* Write down what differs now that `response` came out. */
static int
write_down(Seam *seam, Fields *tape, PyObject *slots, PyObject *attributes, PyObject *response)
{
    State *state = seam->state;
    if (!is_as_wide(tape, attributes)) {
        PyObject *kept = look(state, tape, attributes);
        if (kept == NULL)
            return -1;
        put(slots, seam->base + ATTRIBUTES_OUT, kept);
    }
    Answer answer = {NULL, NULL, NULL};
    int differs = answer_of(state, response, &answer);
    if (differs == 0)
        differs = tape->headers == NULL ? 1 : PyObject_RichCompareBool(answer.headers, tape->headers, Py_NE);
    if (differs == 0)
        differs = tape->status == NULL ? 1 : PyObject_RichCompareBool(answer.status, tape->status, Py_NE);
    if (differs == 0)
        differs = PyObject_IsTrue(answer.cookies);
    if (differs == 1)
        differs = keep(state, tape, slots, seam->base, &answer);
    answer_forget(&answer);
    return differs;
}

static PyObject *
call_layer(PyObject *self, PyObject *const *args, size_t given, PyObject *keywords)
{
    Seam *seam = (Seam *)self;
    PyObject *attributes;
    Fields *tape;
    if (PyVectorcall_NARGS(given) != 1 || keywords != NULL || !in_hand(seam, args[0], &attributes, &tape))
        return PyObject_Vectorcall(seam->pure, args, given, keywords);
    PyObject *request = args[0], *slots = Py_NewRef(tape->slots);
    if (!is_as_wide(tape, attributes)) {
        PyObject *kept = look(seam->state, tape, attributes);
        if (kept == NULL)
            note_fault(seam);
        else
            put(slots, seam->base + ATTRIBUTES_IN, kept);
    }
    stamp(seam, slots, seam->base + ENTRY);
    PyObject *response = PyObject_CallOneArg(seam->called, request);
    if (response == NULL)
        response = answer_error(seam, request, tape);
    if (response != NULL) {
        stamp(seam, slots, seam->base + EXIT);
        if (write_down(seam, tape, slots, attributes, response) < 0) {
            PyErr_Clear();
            PyObject *base = PyLong_FromSsize_t(seam->base), *done = NULL;
            if (base != NULL)
                done = PyObject_CallFunctionObjArgs(seam->left, tape, slots, base, attributes, response, NULL);
            if (done == NULL)
                note_fault(seam);
            Py_XDECREF(done);
            Py_XDECREF(base);
        }
    }
    Py_DECREF(slots);
    Py_DECREF(tape);
    Py_DECREF(attributes);
    return response;
}

/* seam(pure, called, chain, position, answers, passes, left, fault) */
static PyObject *
make_seam(PyObject *self, PyObject *args)
{
    State *state = PyModule_GetState(self);
    PyObject *pure, *called, *chain, *position, *answers, *passes, *left, *fault;
    if (!PyArg_ParseTuple(args, "OOOO!OOOO:seam", &pure, &called, &chain, &PyLong_Type, &position, &answers, &passes, &left,
                          &fault))
        return NULL;
    Py_ssize_t number = PyLong_AsSsize_t(position);
    if (number < 0 || number > PY_SSIZE_T_MAX / (2 * STRIDE))
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_ValueError, "no layer can stand at %R", position);
    Seam *seam = (Seam *)state->seam->tp_alloc(state->seam, 0);
    if (seam == NULL)
        return NULL;
    seam->vectorcall = call_layer;
    seam->state = state;
    seam->base = number * STRIDE;
#define HOLD(part) seam->part = Py_NewRef(part);
    PARTS(HOLD)
    return (PyObject *)seam;
}

static int
seam_traverse(PyObject *self, visitproc visit, void *arg)
{
    Seam *seam = (Seam *)self;
    Py_VISIT(Py_TYPE(self));
#define VISIT_PART(part) Py_VISIT(seam->part);
    PARTS(VISIT_PART)
    return 0;
}

/* No tp_clear: what is called may not lose its parts. A cycle through a seam is broken at the chain or the layer in it. */

static void
seam_dealloc(PyObject *self)
{
    Seam *seam = (Seam *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (seam->weak != NULL)
        PyObject_ClearWeakRefs(self);
#define CLEAR_PART(part) Py_CLEAR(seam->part);
    PARTS(CLEAR_PART)
    type->tp_free(self);
    Py_DECREF(type);
}

/* To whoever asks, a seam is the function that it stands for. */

static PyObject *
seam_getattro(PyObject *self, PyObject *name)
{
    PyObject *found = PyObject_GetAttr(((Seam *)self)->pure, name);
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
seam_setattro(PyObject *self, PyObject *name, PyObject *value)
{
    return PyObject_SetAttr(((Seam *)self)->pure, name, value);
}

static PyObject *
seam_repr(PyObject *self)
{
    return PyObject_Repr(((Seam *)self)->pure);
}

static PyObject *
seam_bound(PyObject *self, PyObject *instance, PyObject *owner)
{
    return instance == NULL || instance == Py_None ? Py_NewRef(self) : PyMethod_New(self, instance);
}

static PyObject *
seam_itself(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return Py_NewRef(self);
}

static PyMethodDef seam_methods[] = {
    {"__copy__", seam_itself, METH_NOARGS, NULL},
    {"__deepcopy__", seam_itself, METH_O, NULL},
    {NULL}
};

static PyType_Slot seam_slots[] = {
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_traverse, seam_traverse},
    {Py_tp_dealloc, seam_dealloc},
    {Py_tp_getattro, seam_getattro},
    {Py_tp_setattro, seam_setattro},
    {Py_tp_repr, seam_repr},
    {Py_tp_descr_get, seam_bound},
    {Py_tp_members, seam_members},
    {Py_tp_methods, seam_methods},
    {0, NULL}
};

static PyType_Spec seam_spec = {
    .name = "builtins.function",
    .basicsize = sizeof(Seam),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_IMMUTABLETYPE
             | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_METHOD_DESCRIPTOR,
    .slots = seam_slots,
};

/* -- the module ---------------------------------------------------------------------------------------------------- */

static PyMethodDef module_methods[] = {
    {"snapshot", (PyCFunction)(void (*)(void))snapshot, METH_FASTCALL, NULL},
    {"seam", make_seam, METH_VARARGS, NULL},
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
    state->ask_again = PyLong_FromLong(-1);
    state->nobody = PyTuple_New(0);
    state->nothing = PyDict_New();
    state->never = Py_BuildValue("(ii)", 0, 0);
    PyObject *clock = PyImport_ImportModule("pipeline_inspector.clock");
    if (clock == NULL)
        return -1;
    state->now = PyObject_GetAttrString(clock, "now");
    state->wall = PyObject_GetAttrString(clock, "wall");
    Py_DECREF(clock);
    if (PyErr_Occurred())
        return -1;
    state->fields = (PyTypeObject *)PyType_FromModuleAndSpec(self, &fields_spec, NULL);
    if (state->fields == NULL || PyModule_AddType(self, state->fields) < 0)
        return -1;
    state->seam = (PyTypeObject *)PyType_FromModuleAndSpec(self, &seam_spec, NULL);
    return state->seam == NULL ? -1 : 0;
}

static int
module_traverse(PyObject *self, visitproc visit, void *arg)
{
    State *state = PyModule_GetState(self);
    Py_VISIT(state->fields);
    Py_VISIT(state->seam);
    return 0;
}

/* Only what can be part of a cycle: a seam may still be called while the collector clears the rest. */
static int
module_clear(PyObject *self)
{
    State *state = PyModule_GetState(self);
    Py_CLEAR(state->fields);
    Py_CLEAR(state->seam);
    return 0;
}

static void
module_free(void *self)
{
    State *state = PyModule_GetState(self);
    module_clear(self);
    Py_CLEAR(state->now);
    Py_CLEAR(state->wall);
    Py_CLEAR(state->zero);
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
