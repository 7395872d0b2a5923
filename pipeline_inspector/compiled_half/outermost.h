/* What the outermost middleware does around a sync chain. middleware.py does the same. */

#pragma once

#include "errors.h"
#include "recorder.h"
#include "way.h"

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
