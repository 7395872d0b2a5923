/* What a dict held that was only added to. */

#pragma once

#include "state.h"

/* Names and values by turns, oldest first: what a dict held that was only added to. */
typedef struct {
    PyObject **items; /* NULL: nothing was ever put there */
    Py_ssize_t count, room;
} Pairs;

/* Place for `more` pairs, and a few. It runs nothing of anybody's, nor does adding them. */
static int
pairs_make_room(Pairs *pairs, Py_ssize_t more)
{
    if (pairs->items != NULL && pairs->count + more <= pairs->room)
        return 0;
    Py_ssize_t room = pairs->count + more + 8;
    PyObject **items = PyMem_Realloc(pairs->items, 2 * room * sizeof(PyObject *));
    if (items == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    pairs->items = items;
    pairs->room = room;
    return 0;
}

static int
pairs_add(Pairs *pairs, PyObject *name, PyObject *value)
{
    if (pairs_make_room(pairs, 1) < 0)
        return -1;
    pairs->items[2 * pairs->count] = Py_NewRef(name);
    pairs->items[2 * pairs->count + 1] = Py_NewRef(value);
    pairs->count++;
    return 0;
}

/* Add all that `dict` holds from `position` on. */
static int
pairs_take(Pairs *pairs, PyObject *dict, Py_ssize_t position)
{
    PyObject *name, *value;
    while (PyDict_Next(dict, &position, &name, &value))
        if (pairs_add(pairs, name, value) < 0)
            return -1;
    return 0;
}

/* Let go of all behind the first `count`. */
static void
pairs_cut(Pairs *pairs, Py_ssize_t count)
{
    while (pairs->count > count) {
        pairs->count--;
        PyObject *name = pairs->items[2 * pairs->count], *value = pairs->items[2 * pairs->count + 1];
        Py_DECREF(name);
        Py_DECREF(value);
    }
}

static void
pairs_clear(Pairs *pairs)
{
    pairs_cut(pairs, 0);
    PyMem_Free(pairs->items);
    pairs->items = NULL;
}

/* Put `others` in the place of `pairs`, and let go of these. */
static void
pairs_exchange(Pairs *pairs, Pairs *others)
{
    Pairs before = *pairs;
    *pairs = *others;
    pairs_clear(&before);
}

static int
pairs_visit(Pairs *pairs, visitproc visit, void *arg)
{
    for (Py_ssize_t at = 0; at < 2 * pairs->count; at++)
        Py_VISIT(pairs->items[at]);
    return 0;
}

/* The first `count` of them as a dict. Making one may run the collector, and what that calls may let go of them. */
static PyObject *
pairs_dict(Pairs *pairs, Py_ssize_t count)
{
    PyObject *dict = PyDict_New();
    for (Py_ssize_t at = 0; dict != NULL && at < count && at < pairs->count; at++)
        if (PyDict_SetItem(dict, pairs->items[2 * at], pairs->items[2 * at + 1]) < 0)
            Py_CLEAR(dict);
    return dict;
}

/* Are they the very first that `dict` holds? What follows in it stands from `position` on. */
static int
pairs_begin(Pairs *pairs, PyObject *dict, Py_ssize_t *position)
{
    PyObject *name, *value;
    *position = 0;
    for (Py_ssize_t at = 0; at < pairs->count; at++)
        if (!PyDict_Next(dict, position, &name, &value) || name != pairs->items[2 * at] || value != pairs->items[2 * at + 1])
            return 0;
    return 1;
}
