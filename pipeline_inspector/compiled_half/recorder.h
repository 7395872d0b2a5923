/* What belongs to the recorder, by the name that it has there. */

#pragma once

#include "function.h"

static PyObject *
recorders(Function *function, int part, int name)
{
    PyObject *found = PyDict_GetItemWithError(function->parts[part], function->state->name[name]);
    if (found == NULL && !PyErr_Occurred())
        PyErr_SetObject(PyExc_KeyError, function->state->name[name]);
    return found;
}

static int
is_room(Function *function, int part)
{
    PyObject *room = recorders(function, part, N_ROOM), *waiting = room == NULL ? NULL : recorders(function, part, N_WAITING);
    return waiting != NULL && PyObject_Size(waiting) < PyLong_AsSsize_t(room);
}
