/* The attributes of a request: what came at a boundary, and what is kept of them when the chain is through. */

#pragma once

#include "fields.h"

static int
is_as_wide(Fields *tape, PyObject *attributes)
{
    return tape->width == PyDict_GET_SIZE(attributes);
}

/* Put what came since there were `width` attributes to the rest; false where anything else was done to them. The place of an
   attribute in a dict is its number, as long as none was taken away: else another name may stand there, and it is counted. */
static int
take_new(Fields *tape, PyObject *attributes, Py_ssize_t width)
{
    Py_ssize_t position = width - 1, before = tape->came.count;
    PyObject *name, *value;
    if (!PyDict_Next(attributes, &position, &name, &value) || name != tape->newest) {
        position = 0;
        for (Py_ssize_t at = 0; at < width; at++)
            if (!PyDict_Next(attributes, &position, &name, &value))
                return 0;
        if (name != tape->newest)
            return 0;
    }
    int failed = pairs_take(&tape->came, attributes, position);
    Py_ssize_t count = width + tape->came.count - before;
    if (failed < 0 || count != PyDict_GET_SIZE(attributes)) {
        pairs_cut(&tape->came, before);
        return failed;
    }
    Py_XSETREF(tape->newest, Py_NewRef(tape->came.items[2 * tape->came.count - 2]));
    tape->width = count;
    return 1;
}

/* Was nothing else done to `attributes` than that those came that are in `came`, and `match` was set? */
static int
only_came(State *state, Fields *tape, PyObject *attributes, PyObject *match)
{
    PyObject *name, *value, *resolved = NULL;
    Py_ssize_t begun = tape->first.count, at = 0, position = 0;
    if (PyDict_GET_SIZE(attributes) != begun + 1 + tape->came.count)
        return 0;
    for (; PyDict_Next(attributes, &position, &name, &value); at++) {
        if (at == begun) {
            if (name != state->name[N_TAPE] || value != (PyObject *)tape)
                return 0;
            continue;
        }
        Pairs *pairs = at < begun ? &tape->first : &tape->came;
        Py_ssize_t pair = at < begun ? at : at - begun - 1;
        PyObject *before = pairs->items[2 * pair + 1];
        if (at < begun && name == state->name[N_RESOLVER_MATCH]) {
            resolved = before;
            before = match;
        }
        if (name != pairs->items[2 * pair] || value != before)
            return 0;
    }
    return resolved == Py_None;
}

/* Look at all that are there, and not at their number alone: put what came to the rest. A number as look() tells it; NULL without
   an error where anything else was done to them. */
static PyObject *
look_closely(State *state, Fields *tape, PyObject *attributes)
{
    Py_ssize_t before = tape->came.count, width = tape->first.count + 1 + before, count = PyDict_GET_SIZE(attributes), position = 0;
    for (Py_ssize_t at = 0; at < width && count > width; at++)
        PyDict_Next(attributes, &position, NULL, NULL);
    int failed = count > width ? pairs_take(&tape->came, attributes, position) : 0;
    if (failed == 0 && only_came(state, tape, attributes, tape->match))
        return PyLong_FromSsize_t(count > width ? count : 0);
    pairs_cut(&tape->came, before);
    return NULL;
}

static PyObject *
look(State *state, Fields *tape, PyObject *attributes)
{
    Py_ssize_t width = (Py_ssize_t)tape->width;
    if (tape->learning == Py_True && tape->only_added == Py_True && tape->open == Py_True) {
        PyObject *seen = look_closely(state, tape, attributes);
        if (seen != NULL || PyErr_Occurred())
            return seen;
    }
    else if (width > 0 && width < PyDict_GET_SIZE(attributes)) {
        int only_new = take_new(tape, attributes, width);
        if (only_new != 0)
            return only_new < 0 ? NULL : PyLong_FromSsize_t((Py_ssize_t)tape->width);
    }
    return PyObject_CallMethodOneArg((PyObject *)tape, state->name[N_ALL_OF], attributes);
}

/* What came as the Python half has it: pairs of name and value, newest first. */
static PyObject *
fields_get_came(PyObject *self, void *Py_UNUSED(closure))
{
    Pairs *came = &((Fields *)self)->came;
    PyObject *list = PyList_New(0);
    for (Py_ssize_t at = came->count - 1; list != NULL && at >= 0 && at < came->count; at--) {
        PyObject *name = Py_NewRef(came->items[2 * at]), *value = Py_NewRef(came->items[2 * at + 1]);
        PyObject *pair = PyTuple_Pack(2, name, value);
        if (pair == NULL || PyList_Append(list, pair) < 0)
            Py_CLEAR(list);
        Py_XDECREF(pair);
        Py_DECREF(name);
        Py_DECREF(value);
    }
    return list;
}

static int
fields_set_came(PyObject *self, PyObject *list, void *Py_UNUSED(closure))
{
    Pairs came = {NULL, 0, 0}, *ours = &((Fields *)self)->came;
    if (list == NULL || !PyList_CheckExact(list)) {
        PyErr_SetString(PyExc_TypeError, "came: a list of pairs is expected");
        return -1;
    }
    for (Py_ssize_t at = PyList_GET_SIZE(list) - 1; at >= 0; at--) {
        PyObject *pair = PyList_GET_ITEM(list, at);
        if (!PyTuple_CheckExact(pair) || PyTuple_GET_SIZE(pair) != 2)
            PyErr_SetString(PyExc_TypeError, "came: a list of pairs is expected");
        else if (pairs_add(&came, PyTuple_GET_ITEM(pair, 0), PyTuple_GET_ITEM(pair, 1)) == 0)
            continue;
        pairs_clear(&came);
        return -1;
    }
    pairs_exchange(ours, &came);
    return 0;
}

/* What there was in the beginning, a dict. */
static PyObject *
fields_get_first(PyObject *self, void *Py_UNUSED(closure))
{
    Pairs *first = &((Fields *)self)->first;
    return pairs_dict(first, first->count);
}

static PyObject *
fields_looked(PyObject *self, PyObject *attributes)
{
    State *state = state_of(self);
    if (state == NULL)
        return NULL;
    if (!PyDict_Check(attributes))
        return PyErr_Format(PyExc_TypeError, "attributes: a dict is expected, not %R", attributes);
    return look(state, (Fields *)self, attributes);
}

/* Is `sieve` the one for names and kinds of what came? */
static int
fits(PyObject *sieve, Pairs *came)
{
    PyObject *left = PyTuple_GET_ITEM(sieve, 0), *all_names = PyTuple_GET_ITEM(left, 0), *kinds = PyTuple_GET_ITEM(left, 1);
    if (PyTuple_GET_SIZE(all_names) != came->count || PyTuple_GET_SIZE(kinds) != came->count)
        return 0;
    for (Py_ssize_t at = 0; at < came->count; at++)
        if (PyTuple_GET_ITEM(all_names, at) != came->items[2 * at]
            || PyTuple_GET_ITEM(kinds, at) != (PyObject *)Py_TYPE(came->items[2 * at + 1]))
            return 0;
    return 1;
}

static int
is_sieve(PyObject *found)
{
    if (found == NULL || !PyTuple_Check(found) || PyTuple_GET_SIZE(found) != 2 || !PyTuple_Check(PyTuple_GET_ITEM(found, 1)))
        return 0;
    PyObject *left = PyTuple_GET_ITEM(found, 0);
    return PyTuple_Check(left) && PyTuple_GET_SIZE(left) == 2 && PyTuple_Check(PyTuple_GET_ITEM(left, 0))
           && PyTuple_Check(PyTuple_GET_ITEM(left, 1));
}

/* The sieve for what `came`, a new reference: mostly it is the one of the request before. */
static PyObject *
sieve_for(State *state, Pairs *came, PyObject *sieves)
{
    if (state->sieves == sieves && fits(state->sieve, came))
        return Py_NewRef(state->sieve);
    Py_ssize_t count = came->count;
    PyObject *all_names = PyTuple_New(count), *kinds = PyTuple_New(count), *key = NULL, *found = NULL;
    for (Py_ssize_t at = 0; all_names != NULL && kinds != NULL && at < count; at++) {
        PyTuple_SET_ITEM(all_names, at, Py_NewRef(came->items[2 * at]));
        PyTuple_SET_ITEM(kinds, at, Py_NewRef((PyObject *)Py_TYPE(came->items[2 * at + 1])));
    }
    if (all_names != NULL && kinds != NULL)
        key = PyTuple_Pack(2, all_names, kinds);
    Py_XDECREF(all_names);
    Py_XDECREF(kinds);
    if (key != NULL) {
        found = Py_XNewRef(PyDict_GetItemWithError(sieves, key));
        if (found == NULL && !PyErr_Occurred())
            found = PyObject_GetItem(sieves, key);
        Py_DECREF(key);
    }
    if (found != NULL && !is_sieve(found)) {
        PyErr_Format(PyExc_TypeError, "a sieve is expected, not %R", found);
        Py_CLEAR(found);
    }
    if (found != NULL) {
        Py_XSETREF(state->sieve, Py_NewRef(found));
        Py_XSETREF(state->sieves, Py_NewRef(sieves));
    }
    return found;
}

/* What `tell` tells of `value`. Of a lazy object it is a pair: what to tell while that wraps the other. */
static PyObject *
told(State *state, PyObject *tell, PyObject *value)
{
    if (PyTuple_Check(tell) && PyTuple_GET_SIZE(tell) == 2) {
        PyObject *wrapped = PyObject_GenericGetAttr(value, state->name[N_WRAPPED]);
        if (wrapped == NULL)
            return NULL;
        int is_empty = wrapped == PyTuple_GET_ITEM(tell, 1);
        Py_DECREF(wrapped);
        if (is_empty)
            return Py_NewRef(PyTuple_GET_ITEM(tell, 0));
    }
    return PyObject_CallOneArg(tell, value);
}

/* What the sieve keeps of what came: {name: value}. */
static PyObject *
sifted(State *state, PyObject *places, Pairs *came)
{
    PyObject *kept = PyDict_New();
    for (Py_ssize_t at = 0; kept != NULL && at < PyTuple_GET_SIZE(places); at++) {
        PyObject *place = PyTuple_GET_ITEM(places, at);
        Py_ssize_t number = PyTuple_CheckExact(place) && PyTuple_GET_SIZE(place) == 3
                                ? PyLong_AsSsize_t(PyTuple_GET_ITEM(place, 0))
                                : -1;
        if (number < 0 || number >= came->count) {
            if (!PyErr_Occurred())
                PyErr_Format(PyExc_IndexError, "nothing came at %R", place);
            Py_CLEAR(kept);
            break;
        }
        PyObject *tell = PyTuple_GET_ITEM(place, 2), *value = Py_NewRef(came->items[2 * number + 1]);
        if (tell != Py_None)
            Py_SETREF(value, told(state, tell, value));
        if (value == NULL || PyDict_SetItem(kept, PyTuple_GET_ITEM(place, 1), value) < 0)
            Py_CLEAR(kept);
        Py_XDECREF(value);
    }
    return kept;
}

/* Keep of `attributes` what the sieve for them keeps: 1, or 0 where anything else was done to them than that new ones came, or
   -1, an error. */
static int
sift(State *state, Fields *tape, PyObject *attributes, PyObject *sieves)
{
    if (!only_came(state, tape, attributes, tape->match))
        return PyErr_Occurred() ? -1 : 0;
    Pairs came = tape->came; /* what is asked meanwhile may be anybody's code: nobody else has them in hand */
    tape->came = (Pairs){NULL, 0, 0};
    PyObject *sieve = sieve_for(state, &came, sieves);
    PyObject *kept = sieve == NULL ? NULL : sifted(state, PyTuple_GET_ITEM(sieve, 1), &came);
    if (kept == NULL)
        pairs_exchange(&tape->came, &came);
    else {
        pairs_clear(&came);
        pairs_clear(&tape->first);
        Py_XSETREF(tape->left, Py_NewRef(PyTuple_GET_ITEM(sieve, 0)));
        Py_XSETREF(tape->attributes, kept);
        tape->width = PyDict_GET_SIZE(attributes);
    }
    Py_XDECREF(sieve);
    return kept == NULL ? -1 : 1;
}

static int
settle(State *state, Fields *tape, PyObject *attributes, PyObject *sieves)
{
    if (!PyDict_Check(attributes) || !PyDict_Check(sieves) || tape->match == NULL) {
        PyErr_SetString(PyExc_TypeError, "settle(attributes, sieves): two dicts are expected, and a tape that is whole");
        return -1;
    }
    int sieved = tape->only_added == Py_True ? PyDict_Contains(attributes, state->name[N_POST]) : 1;
    if (sieved == 0)
        sieved = PyDict_Contains(attributes, state->name[N_URLCONF]);
    sieved = sieved == 0 ? sift(state, tape, attributes, sieves) : (sieved < 0 ? -1 : 0);
    return sieved == 0 ? begin_with(&tape->attributes, PyDict_Copy(attributes)) : sieved;
}

/* settle(attributes, sieves) */
static PyObject *
fields_settle(PyObject *self, PyObject *const *args, Py_ssize_t given)
{
    State *state = state_of(self);
    if (state == NULL)
        return NULL;
    if (given != 2)
        return PyErr_Format(PyExc_TypeError, "settle(attributes, sieves): %zd arguments are given", given);
    return settle(state, (Fields *)self, args[0], args[1]) < 0 ? NULL : Py_NewRef(Py_None);
}
