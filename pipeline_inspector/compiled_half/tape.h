/* The type of a tape, and what is written on it. */

#pragma once

#include "attributes.h"
#include "answers.h"

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

/* Write down what differs now that `response` came out. */
static int
came_out(State *state, Fields *tape, Place *place, PyObject *attributes, PyObject *response)
{
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

/* came_out(base, attributes, response): out of the layer whose slots begin at `base`. */
static PyObject *
fields_came_out(PyObject *self, PyObject *const *args, Py_ssize_t given)
{
    Fields *tape = (Fields *)self;
    State *state = state_of(self);
    if (state == NULL)
        return NULL;
    if (given != 3 || !PyDict_Check(args[1]) || tape->slots == NULL || Py_TYPE(tape->slots) != state->slots) {
        PyErr_SetString(PyExc_TypeError, "came_out(base, attributes, response): a dict and two are expected, and a tape with slots");
        return NULL;
    }
    Py_ssize_t base = PyLong_AsSsize_t(args[0]);
    if (base < 0 || base >= slots_length(tape->slots))
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_IndexError, "no slots at %zd", base);
    PyObject *slots = Py_NewRef(tape->slots);
    int failed = came_out(state, tape, &((Slots *)slots)->places[base / STRIDE], args[1], args[2]) < 0;
    Py_DECREF(slots);
    return failed ? NULL : Py_NewRef(Py_None);
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
    PyObject *event = PyTuple_New(HOOK_FIELDS), *ended = PyLong_FromLongLong(end), *ident = PyLong_FromLongLong(thread);
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

static PyGetSetDef fields_properties[] = {
    {"came", fields_get_came, fields_set_came, NULL, NULL},
    {"first", fields_get_first, NULL, NULL, NULL},
    {"headers", fields_get_headers, NULL, NULL, NULL},
    {NULL}
};

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

static PyMethodDef fields_methods[] = {
    {"stamp", fields_stamp, METH_O, NULL},
    {"sent", fields_sent, METH_NOARGS, NULL},
    {"looked", fields_looked, METH_O, NULL},
    {"forget", fields_forget, METH_NOARGS, NULL},
    {"over", fields_over, METH_O, NULL},
    {"rest", fields_rest, METH_NOARGS, NULL},
    {"hooked", (PyCFunction)(void (*)(void))fields_hooked, METH_FASTCALL, NULL},
    {"through", (PyCFunction)(void (*)(void))fields_through, METH_FASTCALL, NULL},
    {"settle", (PyCFunction)(void (*)(void))fields_settle, METH_FASTCALL, NULL},
    {"came_out", (PyCFunction)(void (*)(void))fields_came_out, METH_FASTCALL, NULL},
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
