/* The end of a request. probes/server.py does the same. */

#pragma once

#include "recorder.h"
#include "tape.h"

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
