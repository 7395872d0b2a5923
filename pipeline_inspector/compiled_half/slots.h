/* The slots of a tape. */

#pragma once

#include "state.h"
#include "pairs.h"

/* What few positions have. */
typedef struct {
    long long hops[STAMPS - OF_EVERY];
    PyObject *things[THINGS]; /* NULL: 0, or the number is with the place */
} Rare;

/* Of each position stamps and small numbers as they are: no object for each, that another thread has to let go of. */
typedef struct {
    long long stamps[OF_EVERY];
    unsigned short numbers[NUMBERED]; /* 0: none. HEADERS: so many of the headers that came, and one, which stand for a dict */
    Rare *rare;                       /* NULL: nothing of that was ever there */
} Place;

typedef struct {
    PyObject_VAR_HEAD
    Pairs headers; /* of the answer, as long as they were only added */
    Place places[1];
} Slots;

static int
slots_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    for (Py_ssize_t at = 0; at < Py_SIZE(self); at++) {
        Rare *rare = ((Slots *)self)->places[at].rare;
        for (int thing = 0; rare != NULL && thing < THINGS; thing++)
            Py_VISIT(rare->things[thing]);
    }
    return pairs_visit(&((Slots *)self)->headers, visit, arg);
}

static int
slots_clear(PyObject *self)
{
    for (Py_ssize_t at = 0; at < Py_SIZE(self); at++) {
        Place *place = &((Slots *)self)->places[at];
        memset(place->numbers, 0, sizeof(place->numbers));
        for (int thing = 0; place->rare != NULL && thing < THINGS; thing++)
            Py_CLEAR(place->rare->things[thing]);
    }
    pairs_clear(&((Slots *)self)->headers);
    return 0;
}

static void
slots_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    slots_clear(self);
    for (Py_ssize_t at = 0; at < Py_SIZE(self); at++)
        PyMem_Free(((Slots *)self)->places[at].rare);
    type->tp_free(self);
    Py_DECREF(type);
}

/* A number that is kept as it is, or -1: it is none, or too large. */
static int
small_number(PyObject *thing)
{
    if (!PyLong_CheckExact(thing))
        return -1;
    int overflow;
    long number = PyLong_AsLongAndOverflow(thing, &overflow);
    return overflow || number < 0 || number > 0xFFFF ? -1 : (int)number;
}

static Rare *
rare_of(Place *place)
{
    if (place->rare == NULL && (place->rare = PyMem_Calloc(1, sizeof(Rare))) == NULL)
        PyErr_NoMemory();
    return place->rare;
}

/* Put `value` at `place`. What was there is let go of last: that may run anybody's code. */
static int
put(Place *place, int thing, PyObject *value)
{
    int number = small_number(value), as_number = number == 0 || (number > 0 && thing < NUMBERED && thing != HEADERS);
    if (!as_number && rare_of(place) == NULL)
        return -1;
    if (thing < NUMBERED)
        place->numbers[thing] = as_number ? number : 0;
    if (place->rare != NULL)
        Py_XSETREF(place->rare->things[thing], as_number ? NULL : Py_NewRef(value));
    return 0;
}

static int
set_place(PyObject *self, Py_ssize_t number, PyObject *value)
{
    Place *place = &((Slots *)self)->places[number / STRIDE];
    int at = number % STRIDE;
    if (at >= STAMPS)
        return put(place, at - STAMPS, value);
    long long stamp = PyLong_AsLongLong(value);
    if (stamp == -1 && PyErr_Occurred())
        return -1;
    if (at < OF_EVERY)
        place->stamps[at] = stamp;
    else if (stamp != 0 || place->rare != NULL) {
        if (rare_of(place) == NULL)
            return -1;
        place->rare->hops[at - OF_EVERY] = stamp;
    }
    return 0;
}

/* Slots(values): a list, STRIDE for each position. */
static PyObject *
slots_of(PyTypeObject *type, PyObject *values)
{
    Py_ssize_t positions = PyList_GET_SIZE(values) / STRIDE;
    if (positions * STRIDE != PyList_GET_SIZE(values))
        return PyErr_Format(PyExc_ValueError, "%zd slots: there are %d for each position", PyList_GET_SIZE(values), STRIDE);
    PyObject *self = type->tp_alloc(type, positions);
    for (Py_ssize_t at = 0; self != NULL && at < PyList_GET_SIZE(values); at++)
        if (set_place(self, at, PyList_GET_ITEM(values, at)) < 0)
            Py_CLEAR(self);
    return self;
}

static PyObject *
slots_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(keywords))
{
    PyObject *values;
    return PyArg_ParseTuple(args, "O!:Slots", &PyList_Type, &values) ? slots_of(type, values) : NULL;
}

/* Slots with the same in them. */
static PyObject *
slots_like(PyObject *template)
{
    PyTypeObject *type = Py_TYPE(template);
    for (Py_ssize_t at = 0; at < Py_SIZE(template); at++) {
        Place *place = &((Slots *)template)->places[at];
        if (place->rare != NULL || place->numbers[HEADERS] > 0) {
            PyObject *values = PySequence_List(template), *self = values == NULL ? NULL : slots_of(type, values);
            Py_XDECREF(values);
            return self;
        }
    }
    PyObject *self = type->tp_alloc(type, Py_SIZE(template));
    if (self != NULL)
        memcpy(((Slots *)self)->places, ((Slots *)template)->places, Py_SIZE(template) * sizeof(Place));
    return self;
}

static Py_ssize_t
slots_length(PyObject *self)
{
    return Py_SIZE(self) * STRIDE;
}

static PyObject *
slots_item(PyObject *self, Py_ssize_t number)
{
    if (number < 0 || number >= slots_length(self))
        return PyErr_Format(PyExc_IndexError, "there is no slot %zd", number);
    Place *place = &((Slots *)self)->places[number / STRIDE];
    int at = number % STRIDE;
    if (at < OF_EVERY)
        return PyLong_FromLongLong(place->stamps[at]);
    if (at < STAMPS)
        return PyLong_FromLongLong(place->rare == NULL ? 0 : place->rare->hops[at - OF_EVERY]);
    int thing = at - STAMPS;
    if (thing == HEADERS && place->numbers[HEADERS] > 0)
        return pairs_dict(&((Slots *)self)->headers, place->numbers[HEADERS] - 1);
    if (place->rare != NULL && place->rare->things[thing] != NULL)
        return Py_NewRef(place->rare->things[thing]);
    return PyLong_FromLong(thing < NUMBERED ? place->numbers[thing] : 0);
}

static int
slots_set(PyObject *self, Py_ssize_t number, PyObject *value)
{
    if (number < 0 || number >= slots_length(self) || value == NULL) {
        PyErr_Format(PyExc_IndexError, "there is no slot %zd, or it is to be taken away", number);
        return -1;
    }
    return set_place(self, number, value);
}

/* slots[number] and slots[first:last:step], a list. */
static PyObject *
slots_get(PyObject *self, PyObject *which)
{
    if (!PySlice_Check(which)) {
        Py_ssize_t number = PyNumber_AsSsize_t(which, PyExc_IndexError);
        return number == -1 && PyErr_Occurred() ? NULL : slots_item(self, number);
    }
    Py_ssize_t first, last, step;
    if (PySlice_Unpack(which, &first, &last, &step) < 0)
        return NULL;
    Py_ssize_t length = PySlice_AdjustIndices(slots_length(self), &first, &last, step);
    PyObject *list = PyList_New(length);
    for (Py_ssize_t at = 0; list != NULL && at < length; at++) {
        PyObject *value = slots_item(self, first + at * step);
        if (value == NULL)
            Py_CLEAR(list);
        else
            PyList_SET_ITEM(list, at, value);
    }
    return list;
}

static int
slots_put(PyObject *self, PyObject *which, PyObject *value)
{
    Py_ssize_t number = PyNumber_AsSsize_t(which, PyExc_IndexError);
    return number == -1 && PyErr_Occurred() ? -1 : slots_set(self, number, value);
}

static PyType_Slot slots_slots[] = {
    {Py_tp_doc, "The slots of a tape: a list whose stamps are kept as numbers."},
    {Py_tp_new, slots_new},
    {Py_tp_traverse, slots_traverse},
    {Py_tp_clear, slots_clear},
    {Py_tp_dealloc, slots_dealloc},
    {Py_sq_length, slots_length},
    {Py_sq_item, slots_item},
    {Py_mp_length, slots_length},
    {Py_mp_subscript, slots_get},
    {Py_mp_ass_subscript, slots_put},
    {0, NULL}
};

static PyType_Spec slots_spec = {
    .name = "pipeline_inspector._compiled.Slots",
    .basicsize = offsetof(Slots, places),
    .itemsize = sizeof(Place),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = slots_slots,
};
