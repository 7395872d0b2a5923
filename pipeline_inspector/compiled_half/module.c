/* The compiled half of the request path: the slots and the fields of a tape, the sync seam between two layers, what is done
   around a sync chain, and at the end of a request; and what sealing reads of them in one step (likeness, outline, stamps,
   plain_hooks).

   Each does what its Python counterpart does (recording/fields.py, probes/layers.py, middleware.py, probes/server.py) in the
   ordinary case, without a Python frame. Whatever is unusual, such as a request that is no plain object, a slot that is taken or
   a response of an odd shape, is given to the counterpart. Of a request nothing is kept here for the next, save the names and
   kinds of its attributes. */

#include "likeness.h"
#include "outermost.h"
#include "request_finished.h"
#include "seam.h"

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
    {"alike", (PyCFunction)(void (*)(void))module_alike, METH_FASTCALL, NULL},
    {"outline", (PyCFunction)(void (*)(void))module_outline, METH_FASTCALL, NULL},
    {"likeness", (PyCFunction)(void (*)(void))module_likeness, METH_FASTCALL, NULL},
    {"stamps", module_stamps, METH_O, NULL},
    {"plain_hooks", module_plain_hooks, METH_O, NULL},
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
