/* The hooks of a tape, packed, where nothing else ran. recording/events.py does the same, and tells all that is not so plain. */

#pragma once

#include "stamps.h"

/* MessagePack's bytes; NEVER as in packed.py. */
enum { NIL = 0xC0, FALSE_BYTE = 0xC2, SHORT_TEXT = 0xA0, LONGEST_TEXT = 31, PACKED_HOOK = 9 };
#define NEVER (-(1LL << 62))

/* A number of an event; NEVER where there is none. */
static long long
number_of(PyObject *event, int field)
{
    PyObject *number = PyTuple_GET_ITEM(event, field);
    int overflow = 1;
    long long value = PyLong_CheckExact(number) ? PyLong_AsLongLongAndOverflow(number, &overflow) : 0;
    return overflow ? NEVER : value;
}

static int
is_hook(PyObject *event)
{
    return PyTuple_CheckExact(event) && PyTuple_GET_SIZE(event) == HOOK_FIELDS && number_of(event, 0) == HOOK;
}

/* Did the core call it, on the thread of `tape`, as it is, and did it just return? */
static int
is_plain(PyObject *event, Fields *tape)
{
    long long left = ((Slots *)tape->slots)->places[0].stamps[EXIT];
    PyObject *name = PyTuple_GET_ITEM(event, 5);
    return number_of(event, 3) == tape->thread && number_of(event, 1) != NEVER && number_of(event, 2) != NEVER
           && (!left || left >= number_of(event, 1)) && number_of(event, 4) >= 0 && PyUnicode_CheckExact(name)
           && PyUnicode_IS_COMPACT_ASCII(name) && PyUnicode_GET_LENGTH(name) > 0 && PyUnicode_GET_LENGTH(name) <= LONGEST_TEXT
           && PyTuple_GET_ITEM(event, 6) == Py_False && number_of(event, 9) == 0 && PyTuple_GET_ITEM(event, 11) == Py_None;
}

static unsigned char *
write_hook(unsigned char *to, PyObject *event, long long start)
{
    PyObject *name = PyTuple_GET_ITEM(event, 5);
    Py_ssize_t length = PyUnicode_GET_LENGTH(name);
    to = write_list_head(to, PACKED_HOOK);
    to = write_number(write_number(to, number_of(event, 1) - start), number_of(event, 2) - start);
    to = write_number(write_number(to, 0), number_of(event, 4));
    *to++ = (unsigned char)(SHORT_TEXT | length);
    memcpy(to, PyUnicode_1BYTE_DATA(name), length);
    to += length;
    *to++ = FALSE_BYTE;
    to = write_number(write_number(to, NEVER), NEVER);
    *to++ = NIL;
    return to;
}

/* plain_hooks(tape): packed as a Packed holds them, and the nanoseconds in process_view; None where anything else ran, or on
   another thread, or was counted only. */
static PyObject *
module_plain_hooks(PyObject *self, PyObject *of)
{
    State *state = PyModule_GetState(self);
    Fields *tape = (Fields *)of;
    if (!is_whole(state, of))
        return PyErr_Format(PyExc_TypeError, "plain_hooks(tape): a tape with Slots and a Way or None is expected, not %R", of);
    PyObject *events = tape->events;
    if (events == NULL || !PyList_CheckExact(events) || tape->dropped != state->zero || tape->query_count != state->zero
        || tape->view_thread != tape->thread)
        Py_RETURN_NONE;
    Py_ssize_t count = PyList_GET_SIZE(events);
    for (Py_ssize_t at = 0; at < count; at++)
        if (!is_hook(PyList_GET_ITEM(events, at)) || !is_plain(PyList_GET_ITEM(events, at), tape))
            Py_RETURN_NONE;
    PyObject *packed = PyBytes_FromStringAndSize(NULL, LIST_HEAD + count * (LIST_HEAD + PACKED_HOOK * LONGEST_NUMBER + LONGEST_TEXT));
    if (packed == NULL)
        return NULL;
    unsigned char *begin = (unsigned char *)PyBytes_AS_STRING(packed), *to = write_list_head(begin, count);
    long long start = tape->start ? tape->start : tape->opened_at, in_hooks = 0;
    for (Py_ssize_t at = 0; at < count; at++) {
        PyObject *event = PyList_GET_ITEM(events, at);
        to = write_hook(to, event, start);
        if (PyUnicode_Compare(PyTuple_GET_ITEM(event, 5), state->name[N_PROCESS_VIEW]) == 0)
            in_hooks += number_of(event, 2) - number_of(event, 1);
    }
    return _PyBytes_Resize(&packed, to - begin) < 0 ? NULL : Py_BuildValue("NL", packed, in_hooks);
}
