/* The sync seam between two layers. probes/layers.py does the same. */

#pragma once

#include "errors.h"
#include "function.h"
#include "tape.h"

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
        if (came_out(seam->state, tape, place, attributes, response) < 0 && !is_interrupt()) {
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
