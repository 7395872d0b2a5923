/* Status, headers and cookies of a response, kept where they differ from the boundary before. */

#pragma once

#include "fields.h"

/* The pairs of headers that stand with the slots, when these are ours. */
static Pairs *
headers_of(State *state, Fields *tape)
{
    return tape->slots != NULL && Py_TYPE(tape->slots) == state->slots ? &((Slots *)tape->slots)->headers : NULL;
}

/* The headers last kept, None before. */
static PyObject *
fields_get_headers(PyObject *self, void *Py_UNUSED(closure))
{
    Fields *tape = (Fields *)self;
    State *state = state_of(self);
    if (state == NULL)
        return NULL;
    Pairs *headers = headers_of(state, tape);
    if (tape->headers == NULL && headers != NULL && headers->items != NULL)
        return pairs_dict(headers, headers->count);
    return Py_NewRef(tape->headers == NULL ? Py_None : tape->headers);
}

/* {name: morsel.value}, or 0 where there are none. */
static PyObject *
cookies_of(State *state, PyObject *cookies)
{
    int any = PyObject_IsTrue(cookies);
    if (any <= 0)
        return any < 0 ? NULL : Py_NewRef(state->zero);
    PyObject *items = PyObject_CallMethodNoArgs(cookies, state->name[N_ITEMS]);
    PyObject *steps = items == NULL ? NULL : PyObject_GetIter(items);
    PyObject *kept = steps == NULL ? NULL : PyDict_New();
    PyObject *item;
    while (kept != NULL && (item = PyIter_Next(steps)) != NULL) {
        PyObject *value = NULL;
        if (PyTuple_CheckExact(item) && PyTuple_GET_SIZE(item) == 2)
            value = PyObject_GetAttr(PyTuple_GET_ITEM(item, 1), state->name[N_VALUE]);
        if (value == NULL || PyDict_SetItem(kept, PyTuple_GET_ITEM(item, 0), value) < 0)
            Py_CLEAR(kept);
        Py_XDECREF(value);
        Py_DECREF(item);
    }
    if (PyErr_Occurred())
        Py_CLEAR(kept);
    Py_XDECREF(steps);
    Py_XDECREF(items);
    return kept;
}

/* Status, headers and cookies of a response, each a new reference. */
typedef struct {
    PyObject *status, *headers, *cookies;
} Answer;

static void
answer_forget(Answer *answer)
{
    Py_CLEAR(answer->status);
    Py_CLEAR(answer->headers);
    Py_CLEAR(answer->cookies);
}

static int
answer_of(State *state, PyObject *response, Answer *answer)
{
    PyObject *headers = PyObject_GetAttr(response, state->name[N_HEADERS]);
    if (headers == NULL)
        return -1;
    answer->headers = PyObject_GetAttr(headers, state->name[N_STORE]);
    Py_DECREF(headers);
    if (answer->headers == NULL)
        return -1;
    answer->status = PyObject_GetAttr(response, state->name[N_STATUS_CODE]);
    if (answer->status == NULL)
        return -1;
    answer->cookies = PyObject_GetAttr(response, state->name[N_COOKIES]);
    return answer->cookies == NULL ? -1 : 0;
}

static PyObject *
copy_headers(State *state, PyObject *headers)
{
    return PyDict_CheckExact(headers) ? PyDict_Copy(headers) : PyObject_CallMethodNoArgs(headers, state->name[N_COPY]);
}

/* Keep `headers` at `place`: where they were only added since the boundary before the new ones, else all. */
static int
keep_headers(State *state, Fields *tape, Place *place, PyObject *headers)
{
    Pairs *before = headers_of(state, tape);
    Py_ssize_t position;
    if (before != NULL && tape->headers == NULL && PyDict_CheckExact(headers) && PyDict_GET_SIZE(headers) < 0xFFFF
        && pairs_begin(before, headers, &position)) {
        if (pairs_make_room(before, PyDict_GET_SIZE(headers) - before->count) < 0 || pairs_take(before, headers, position) < 0)
            return -1;
        place->numbers[HEADERS] = (unsigned short)(before->count + 1);
        return 0;
    }
    PyObject *copied = copy_headers(state, headers);
    if (copied == NULL || put(place, HEADERS, copied) < 0) {
        Py_XDECREF(copied);
        return -1;
    }
    Py_XSETREF(tape->headers, copied);
    return 0;
}

/* Keep `answer` in the slots from `base` on, as it differs from the boundary before. */
static int
keep(State *state, Fields *tape, Place *place, Answer *answer)
{
    PyObject *cookies = cookies_of(state, answer->cookies);
    if (cookies == NULL)
        return -1;
    PyObject *status = cookies == state->zero ? answer->status : state->ask_again;
    int failed = keep_headers(state, tape, place, answer->headers) < 0 || put(place, STATUS, answer->status) < 0
                 || put(place, COOKIES, cookies) < 0;
    Py_DECREF(cookies);
    if (failed)
        return -1;
    Py_XSETREF(tape->status, Py_NewRef(status));
    return 0;
}

/* Status, headers and cookies (0: none) of `response`; None when it is no response. */
static PyObject *
snapshot_of(State *state, PyObject *response)
{
    Answer answer = {NULL, NULL, NULL};
    PyObject *taken = NULL, *headers = NULL, *cookies = NULL;
    if (answer_of(state, response, &answer) == 0) {
        headers = copy_headers(state, answer.headers);
        cookies = headers == NULL ? NULL : cookies_of(state, answer.cookies);
        if (cookies != NULL)
            taken = PyTuple_Pack(3, answer.status, headers, cookies);
        Py_XDECREF(headers);
        Py_XDECREF(cookies);
    }
    answer_forget(&answer);
    if (taken != NULL || !PyErr_ExceptionMatches(PyExc_Exception))
        return taken;
    PyErr_Clear();
    Py_RETURN_NONE;
}

/* Do both hold the very same, in the same order? */
static int
are_alike(PyObject *dict, PyObject *other)
{
    Py_ssize_t position = 0, position_other = 0;
    PyObject *name, *name_other, *value, *value_other;
    if (!PyDict_CheckExact(dict) || !PyDict_CheckExact(other) || PyDict_GET_SIZE(dict) != PyDict_GET_SIZE(other))
        return 0;
    while (PyDict_Next(dict, &position, &name, &value))
        if (!PyDict_Next(other, &position_other, &name_other, &value_other) || name != name_other || value != value_other)
            return 0;
    return 1;
}

/* alike(attributes, others) */
static PyObject *
module_alike(PyObject *Py_UNUSED(self), PyObject *const *args, Py_ssize_t given)
{
    if (given != 2)
        return PyErr_Format(PyExc_TypeError, "alike(attributes, others): %zd arguments are given", given);
    return PyBool_FromLong(are_alike(args[0], args[1]));
}

/* Do `headers` differ from those last kept? 1, 0 or -1, an error. */
static int
differ(State *state, Fields *tape, PyObject *headers)
{
    if (tape->headers != NULL)
        return are_alike(headers, tape->headers) ? 0 : PyObject_RichCompareBool(headers, tape->headers, Py_NE);
    Pairs *before = headers_of(state, tape);
    Py_ssize_t position;
    if (before == NULL || before->items == NULL)
        return 1;
    if (PyDict_CheckExact(headers) && pairs_begin(before, headers, &position))
        return PyDict_GET_SIZE(headers) != before->count;
    PyObject *whole = pairs_dict(before, before->count);
    int differs = whole == NULL ? -1 : PyObject_RichCompareBool(headers, whole, Py_NE);
    Py_XDECREF(whole);
    return differs;
}
