/* The fields of a tape: how they are begun, and let go of. recording/fields.py does the same. */

#pragma once

#include "clock.h"
#include "slots.h"

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
