/* The outline of a request's way. */

#pragma once

#include "slots.h"

/* Does `answer` begin with the very values of `headers`, in their order? */
static int
begins_with(PyObject *answer, PyObject *headers)
{
    Py_ssize_t position = 0, other_position = 0;
    PyObject *value, *other;
    while (PyDict_Next(headers, &position, NULL, &value))
        if (!PyDict_Next(answer, &other_position, NULL, &other) || value != other)
            return 0;
    return 1;
}

/* What boundaries kept, without the values that stand in `answer`, the final headers; None where they kept more than numbers
   and headers that were only added. */
static PyObject *
outline_of(Slots *slots, PyObject *answer)
{
    Py_ssize_t count = Py_SIZE(slots), position;
    if (!pairs_begin(&slots->headers, answer, &position))
        Py_RETURN_NONE;
    PyObject *outline = PyBytes_FromStringAndSize(NULL, count * NUMBERED * sizeof(unsigned short));
    if (outline == NULL)
        return NULL;
    unsigned short *written = (unsigned short *)PyBytes_AS_STRING(outline);
    for (Py_ssize_t at = 0; at < count; at++, written += NUMBERED) {
        Place *place = &slots->places[at];
        memcpy(written, place->numbers, sizeof(place->numbers));
        for (int thing = 0; place->rare != NULL && thing < THINGS; thing++) {
            PyObject *kept = place->rare->things[thing];
            if (thing == HEADERS && kept != NULL && PyDict_CheckExact(kept) && PyDict_GET_SIZE(kept) < 0xFFFF
                && begins_with(answer, kept))
                written[HEADERS] = (unsigned short)(PyDict_GET_SIZE(kept) + 1);
            else if (kept != NULL) {
                Py_DECREF(outline);
                Py_RETURN_NONE;
            }
        }
    }
    return outline;
}

/* outline(slots, answer) */
static PyObject *
module_outline(PyObject *self, PyObject *const *args, Py_ssize_t given)
{
    State *state = PyModule_GetState(self);
    if (given != 2 || Py_TYPE(args[0]) != state->slots || !PyDict_Check(args[1])) {
        PyErr_SetString(PyExc_TypeError, "outline(slots, answer): Slots and a dict are expected");
        return NULL;
    }
    return outline_of((Slots *)args[0], args[1]);
}
