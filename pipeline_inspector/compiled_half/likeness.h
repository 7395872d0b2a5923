/* What a request is like. recording/repeats.py tells more. */

#pragma once

#include "hooks.h"
#include "outline.h"

/* As in recording/heads.py; so many namespaces are looked at, fields of a hook, and things besides all that can be many. */
enum { HEADERS_KEPT = 150, MOST_SPACES = 8, OF_HOOK = 4, OTHERS = 32 };

/* All that decides what is told of a request, in the tuple that it is going to be, made as long as it can get. */
typedef struct {
    PyObject *told;
    Py_ssize_t count;
} Likeness;

/* Add `thing`, a new reference; false where it could not be made, or more came than was looked for. */
static int
add(Likeness *likeness, PyObject *thing)
{
    if (thing == NULL || likeness->count == PyTuple_GET_SIZE(likeness->told)) {
        Py_XDECREF(thing);
        return 0;
    }
    PyTuple_SET_ITEM(likeness->told, likeness->count++, thing);
    return 1;
}

static int
add_number(Likeness *likeness, long long number)
{
    return add(likeness, PyLong_FromLongLong(number));
}

/* Add `text`, if it is one, or None. */
static int
add_text(Likeness *likeness, PyObject *text)
{
    return text != NULL && (text == Py_None || PyUnicode_CheckExact(text)) && add(likeness, Py_NewRef(text));
}

static int
is_name(PyObject *key, const char *name, size_t length)
{
    return (size_t)PyUnicode_GET_LENGTH(key) == length && memcmp(PyUnicode_1BYTE_DATA(key), name, length) == 0;
}
#define IS_NAME(key, name) is_name(key, name, sizeof(name) - 1)

/* Headers, and what else is told of a META, as recording/heads.py does. A query is told with its values. */
static int
add_meta(Likeness *likeness, PyObject *meta)
{
    PyObject *key, *value;
    Py_ssize_t position = 0, before = likeness->count;
    while (PyDict_Next(meta, &position, &key, &value)) {
        if (!PyUnicode_CheckExact(key) || !PyUnicode_IS_COMPACT_ASCII(key))
            return 0;
        if (IS_NAME(key, "QUERY_STRING") && !(PyUnicode_CheckExact(value) && PyUnicode_GET_LENGTH(value) == 0))
            return 0;
        int is_told = (PyUnicode_GET_LENGTH(key) > 5 && memcmp(PyUnicode_1BYTE_DATA(key), "HTTP_", 5) == 0)
                      || IS_NAME(key, "CONTENT_TYPE") || IS_NAME(key, "CONTENT_LENGTH") || IS_NAME(key, "wsgi.url_scheme")
                      || IS_NAME(key, "SERVER_PROTOCOL") || IS_NAME(key, "REMOTE_ADDR");
        if (is_told && !(add_text(likeness, key) && add_text(likeness, value)))
            return 0;
    }
    return add_number(likeness, likeness->count - before);
}

/* The headers of an answer. */
static int
add_headers(Likeness *likeness, PyObject *headers)
{
    PyObject *header;
    Py_ssize_t position = 0;
    while (PyDict_Next(headers, &position, NULL, &header))
        if (!PyTuple_CheckExact(header) || PyTuple_GET_SIZE(header) != 2 || !add_text(likeness, PyTuple_GET_ITEM(header, 0))
            || !add_text(likeness, PyTuple_GET_ITEM(header, 1)))
            return 0;
    return add_number(likeness, PyDict_GET_SIZE(headers));
}

/* The values of attributes, where equal ones of one kind are told in the same words. */
static int
add_attributes(Likeness *likeness, PyObject *attributes)
{
    PyObject *value;
    Py_ssize_t position = 0;
    while (PyDict_Next(attributes, &position, NULL, &value))
        if (!(value == Py_None || PyLong_Check(value) || PyUnicode_Check(value)) || !add(likeness, Py_NewRef(value)))
            return 0;
    return 1;
}

/* The hooks that the core called: position, name, whether it answered and how many attributes there were. */
static int
add_hooks(Likeness *likeness, PyObject *events, long long left)
{
    Py_ssize_t before = likeness->count;
    for (Py_ssize_t at = 0; at < PyList_GET_SIZE(events); at++) {
        PyObject *event = PyList_GET_ITEM(events, at);
        if (!is_hook(event))
            continue;
        PyObject *seen = PyTuple_GET_ITEM(event, 7);
        if (PyTuple_GET_ITEM(event, 8) != Py_None || (left && left < number_of(event, 1))
            || !(seen == Py_None || PyLong_CheckExact(seen)))
            return 0;
        for (int field = 4; field < 4 + OF_HOOK; field++)
            add(likeness, Py_NewRef(PyTuple_GET_ITEM(event, field)));
    }
    return add_number(likeness, likeness->count - before);
}

/* What matched. */
enum { KWARGS, ARGS, ROUTE, URL_NAME, NAMESPACES, MATCHED };

static int
match_read(State *state, PyObject *match, PyObject **matched)
{
    for (int part = 0; part < MATCHED; part++)
        if ((matched[part] = PyObject_GetAttr(match, state->name[N_KWARGS + part])) == NULL)
            return 0;
    return 1;
}

/* It took nothing from the path, and is told in words of its own. */
static int
match_is_ordinary(PyObject **matched)
{
    return PyDict_CheckExact(matched[KWARGS]) && PyDict_GET_SIZE(matched[KWARGS]) == 0 && PyTuple_CheckExact(matched[ARGS])
           && PyTuple_GET_SIZE(matched[ARGS]) == 0 && PyList_CheckExact(matched[NAMESPACES])
           && PyList_GET_SIZE(matched[NAMESPACES]) <= MOST_SPACES;
}

static int
add_match(Likeness *likeness, PyObject *match, PyObject **matched)
{
    if (!(add(likeness, Py_NewRef((PyObject *)Py_TYPE(match))) && add_text(likeness, matched[ROUTE])
          && add_text(likeness, matched[URL_NAME])))
        return 0;
    for (Py_ssize_t at = 0; at < PyList_GET_SIZE(matched[NAMESPACES]); at++)
        if (!add_text(likeness, PyList_GET_ITEM(matched[NAMESPACES], at)))
            return 0;
    return add_number(likeness, PyList_GET_SIZE(matched[NAMESPACES]));
}

/* Scheme and version, which an ASGI server tells elsewhere. */
static int
add_source(State *state, Likeness *likeness, PyObject *interface, PyObject *source)
{
    if (!PyUnicode_CheckExact(interface) || !add_text(likeness, interface))
        return 0;
    if (PyUnicode_Compare(interface, state->name[N_WSGI]) == 0)
        return 1;
    for (int name = N_SCHEME; name <= N_HTTP_VERSION; name++)
        if (source == NULL || !PyDict_CheckExact(source)
            || !add_text(likeness, PyDict_GetItemWithError(source, state->name[name])))
            return 0;
    return 1;
}

/* The view, by where it is: whoever asks looks whether it is still there. */
static int
add_view(Likeness *likeness, PyObject *view)
{
    return add(likeness, PyLong_FromVoidPtr(PyTuple_GET_ITEM(view, 0))) && add(likeness, Py_NewRef(PyTuple_GET_ITEM(view, 1)))
           && (PyTuple_GET_SIZE(view) == 2 ? add(likeness, Py_NewRef(Py_False)) : add_text(likeness, PyTuple_GET_ITEM(view, 2)));
}

/* Is there no more to be told of `tape` than of a request that just went its way? */
static int
is_ordinary(Fields *tape)
{
    PyObject *answer = tape->response, *view = tape->view;
    if (answer == NULL || !PyTuple_CheckExact(answer) || PyTuple_GET_SIZE(answer) < 3 || view == NULL
        || !PyTuple_CheckExact(view) || PyTuple_GET_SIZE(view) < 2 || PyTuple_GET_SIZE(view) > 3)
        return 0;
    PyObject *headers = PyTuple_GET_ITEM(answer, 1), *cookies = PyTuple_GET_ITEM(answer, 2);
    return tape->errors == Py_None && tape->tried == Py_None && tape->urlconf == Py_None && tape->left != NULL
           && tape->left != Py_None && tape->off != NULL && PyTuple_CheckExact(tape->off) && PyTuple_GET_SIZE(tape->off) == 0
           && tape->meta != NULL && PyDict_CheckExact(tape->meta) && tape->events != NULL && PyList_CheckExact(tape->events)
           && tape->attributes != NULL && PyDict_CheckExact(tape->attributes) && tape->body_bytes != NULL
           && tape->streaming != NULL && PyDict_CheckExact(headers) && PyDict_GET_SIZE(headers) <= HEADERS_KEPT
           && (PyLong_CheckExact(cookies) || (PyDict_CheckExact(cookies) && PyDict_GET_SIZE(cookies) == 0));
}

static int
add_all(State *state, Likeness *likeness, Fields *tape, PyObject **matched, PyObject *interface)
{
    Slots *slots = (Slots *)tape->slots;
    Way *way = (Way *)tape->transport;
    PyObject *headers = PyTuple_GET_ITEM(tape->response, 1), *outline = outline_of(slots, headers);
    if (outline == NULL || outline == Py_None) {
        Py_XDECREF(outline);
        return 0;
    }
    return add(likeness, outline) && add_match(likeness, tape->match, matched) && add_view(likeness, tape->view)
           && add_text(likeness, tape->method) && add(likeness, PyBool_FromLong(tape->view_start != 0))
           && add_number(likeness, way->sent) && add(likeness, Py_NewRef(tape->body_bytes))
           && add(likeness, Py_NewRef(tape->streaming)) && add(likeness, Py_NewRef(tape->left))
           && add_attributes(likeness, tape->attributes) && add_headers(likeness, headers) && add_meta(likeness, tape->meta)
           && add_hooks(likeness, tape->events, slots->places[0].stamps[EXIT])
           && add_source(state, likeness, interface, way->source);
}

/* As many as there can be. */
static Py_ssize_t
most_of(Fields *tape)
{
    Py_ssize_t hooks = 0;
    for (Py_ssize_t at = 0; at < PyList_GET_SIZE(tape->events); at++)
        hooks += is_hook(PyList_GET_ITEM(tape->events, at));
    return OTHERS + MOST_SPACES + OF_HOOK * hooks + PyDict_GET_SIZE(tape->attributes)
           + 2 * PyDict_GET_SIZE(PyTuple_GET_ITEM(tape->response, 1)) + 2 * PyDict_GET_SIZE(tape->meta);
}

/* likeness(tape, interface): a tuple, equal to that of another request where the same is told of both, save when it was and what
   ran inside. None: it is no ordinary request. */
static PyObject *
module_likeness(PyObject *self, PyObject *const *args, Py_ssize_t given)
{
    State *state = PyModule_GetState(self);
    if (given != 2 || !is_whole(state, args[0])) {
        PyErr_SetString(PyExc_TypeError, "likeness(tape, interface): a tape with Slots and a Way or None is expected, and a text");
        return NULL;
    }
    Fields *tape = (Fields *)args[0];
    PyObject *matched[MATCHED] = {NULL}, *match = Py_XNewRef(tape->match);
    Likeness likeness = {NULL, 0};
    int is_told = match != NULL && match != Py_None && match_read(state, match, matched) && match_is_ordinary(matched)
                  && tape->match == match && tape->transport != Py_None && is_ordinary(tape)
                  && (likeness.told = PyTuple_New(most_of(tape))) != NULL;
    if (is_told) {
        PyObject_GC_UnTrack(likeness.told);
        is_told = add_all(state, &likeness, tape, matched, args[1]);
    }
    for (int part = 0; part < MATCHED; part++)
        Py_XDECREF(matched[part]);
    Py_XDECREF(match);
    if (is_told)
        return _PyTuple_Resize(&likeness.told, likeness.count) < 0 ? NULL : likeness.told;
    Py_XDECREF(likeness.told);
    if (PyErr_Occurred()) {
        if (!PyErr_ExceptionMatches(PyExc_Exception))
            return NULL;
        PyErr_Clear();
    }
    Py_RETURN_NONE;
}
