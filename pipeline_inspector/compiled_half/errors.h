/* Errors in hand. */

#pragma once

#include "state.h"

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
