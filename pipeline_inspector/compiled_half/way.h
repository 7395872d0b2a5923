/* The way between server and handler. recording/way.py does the same. */

#pragma once

#include "tape.h"

#define WAY_MOMENTS(F) F(called) F(started) F(response_started) F(first_byte) F(last_byte) F(prefixed)
#define WAY_NUMBERS(F) WAY_MOMENTS(F) F(chunks) F(sent)
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
    if (at < 0 || at > &way->prefixed - &way->called)
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
