/* Functions that stand for others. */

#pragma once

#include "state.h"

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
