/* The stamps of a tape, packed. recording/stamps.py does the same. */

#pragma once

#include "way.h"

/* MessagePack's bytes for numbers and lists, https://github.com/msgpack/msgpack/blob/master/spec.md */
enum { LARGEST_FIX = 0x7F, SMALLEST_FIX = -32, UNSIGNED_64 = 0xCF, SIGNED_64 = 0xD3, LONGEST_NUMBER = 9 };
enum { SHORT_LIST = 0x90, LONGEST_SHORT = 15, LIST_32 = 0xDD, LIST_HEAD = 5 };

/* `bytes` of `number`, the highest first. */
static unsigned char *
write_bytes(unsigned char *to, unsigned long long number, int bytes)
{
    while (bytes-- > 0)
        *to++ = (unsigned char)(number >> (8 * bytes));
    return to;
}

static unsigned char *
write_number(unsigned char *to, long long number)
{
    if (number >= SMALLEST_FIX && number <= LARGEST_FIX) {
        *to++ = (unsigned char)number;
        return to;
    }
    *to++ = number < 0 ? SIGNED_64 : UNSIGNED_64;
    return write_bytes(to, (unsigned long long)number, LONGEST_NUMBER - 1);
}

static unsigned char *
write_list_head(unsigned char *to, Py_ssize_t length)
{
    if (length <= LONGEST_SHORT) {
        *to++ = (unsigned char)(SHORT_LIST | length);
        return to;
    }
    *to++ = LIST_32;
    return write_bytes(to, (unsigned long long)length, LIST_HEAD - 1);
}

static unsigned char *
write_stamps_of(unsigned char *to, Slots *slots, int stamp)
{
    to = write_list_head(to, Py_SIZE(slots));
    for (Py_ssize_t at = 0; at < Py_SIZE(slots); at++)
        to = write_number(to, slots->places[at].stamps[stamp]);
    return to;
}

static long long
hop_of(Place *place, int stamp)
{
    return place->rare == NULL ? 0 : place->rare->hops[stamp - OF_EVERY];
}

/* When hops began, then when they ended; an empty list where none began. */
static unsigned char *
write_hops(unsigned char *to, Slots *slots)
{
    Py_ssize_t count = Py_SIZE(slots);
    int any = 0;
    for (Py_ssize_t at = 0; at < count && !any; at++)
        any = hop_of(&slots->places[at], HOP_START) != 0;
    to = write_list_head(to, any ? 2 * count : 0);
    for (int stamp = HOP_START; any && stamp <= HOP_END; stamp++)
        for (Py_ssize_t at = 0; at < count; at++)
            to = write_number(to, hop_of(&slots->places[at], stamp));
    return to;
}

/* Is it a tape with slots, and a way or None? */
static int
is_whole(State *state, PyObject *of)
{
    Fields *tape = (Fields *)of;
    return PyObject_TypeCheck(of, state->fields) && tape->slots != NULL && tape->transport != NULL
           && Py_TYPE(tape->slots) == state->slots
           && (tape->transport == Py_None || PyObject_TypeCheck(tape->transport, state->way));
}

/* stamps(tape): those of its way through the chain, of itself and of its way from server to handler, as a Packed begins. */
static PyObject *
module_stamps(PyObject *self, PyObject *of)
{
    State *state = PyModule_GetState(self);
    Fields *tape = (Fields *)of;
    if (!is_whole(state, of))
        return PyErr_Format(PyExc_TypeError, "stamps(tape): a tape with Slots and a Way or None is expected, not %R", of);
    Slots *slots = (Slots *)tape->slots;
    Way *way = tape->transport == Py_None ? NULL : (Way *)tape->transport;
    long long moments[] = {
        tape->opened_at,
#define VALUE(field) tape->field,
        MOMENTS(VALUE)
#define VALUE_OF_WAY(field) way == NULL ? 0 : way->field,
        WAY_MOMENTS(VALUE_OF_WAY)
    };
    Py_ssize_t others = sizeof(moments) / sizeof(*moments);
    PyObject *packed = PyBytes_FromStringAndSize(NULL, 3 * LIST_HEAD + (STAMPS * Py_SIZE(slots) + 1 + others) * LONGEST_NUMBER);
    if (packed == NULL)
        return NULL;
    unsigned char *begin = (unsigned char *)PyBytes_AS_STRING(packed);
    unsigned char *to = write_number(begin, tape->start ? tape->start : tape->opened_at);
    to = write_hops(write_stamps_of(write_stamps_of(to, slots, ENTRY), slots, EXIT), slots);
    for (Py_ssize_t at = 0; at < others; at++)
        to = write_number(to, moments[at]);
    return _PyBytes_Resize(&packed, to - begin) < 0 ? NULL : packed;
}
