/* What the module holds, the names it asks by, and how slots and events are counted. */

#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#ifdef Py_GIL_DISABLED
#error "It relies on the interpreter's lock: a free-threaded Python runs the Python half."
#endif

/* Places in the slots, as in recording/slots.py: stamps first, those of every layer before those of hops; then things, first
   those that mostly are numbers. */
enum { ENTRY, EXIT, HOP_START, HOP_END, STAMPS, OF_EVERY = HOP_START };
enum { ATTRIBUTES_IN, STATUS, HEADERS, ATTRIBUTES_OUT, COOKIES, THINGS, NUMBERED = COOKIES };
enum { STRIDE = STAMPS + THINGS };

/* As in recording/kinds.py. */
enum { HOOK = 4, HOOK_FIELDS = 12, EVENT_LIMIT = 4000 };

enum {
    N_TAPE, N_HEADERS, N_STORE, N_STATUS_CODE, N_COOKIES, N_VALUE, N_ALL_OF, N_META, N_PATH, N_METHOD, N_RESOLVER_MATCH,
    N_COPY, N_ITEMS, N_POST, N_URLCONF, N_EMPTY, N_PROCESS_VIEW, N_WRAPPED, N_STREAMING, N_CONTAINER, N_CLOSERS,
    N_SENT, N_CALL, N_RECORDING, N_APART, N_CONTROL_VERSION, N_PATH_INFO, N_VERSION, N_SLOTS, N_LEARNING,
    N_WATCHED, N_ROOM, N_WAITING, N_NUMBERS, N_RUNNING, N_INTERFACE, N_WSGI,
    N_DIVERSIONS, N_APPEND, N_ASLEEP, N_WAKE, N_HAND_OVER, N_LEARN, N_ABORT, N_CLOSE, N_FOLLOW_ON,
    N_KWARGS, N_ARGS, N_ROUTE, N_URL_NAME, N_NAMESPACES, N_SCHEME, N_HTTP_VERSION, NAMES
};
static const char *const names[NAMES] = {
    "_pipeline_tape", "headers", "_store", "status_code", "cookies", "value", "all_of", "META", "path", "method",
    "resolver_match", "copy", "items", "_post", "urlconf", "", "process_view", "_wrapped", "streaming", "_container", "_resource_closers",
    "sent", "__call__", "recording", "apart", "control_version", "path_info", "version", "slots", "learning",
    "watched", "room", "waiting", "numbers", "running", "interface", "wsgi",
    "diversions", "append", "asleep", "wake", "hand_over", "learn", "abort", "close", "follow_on",
    "kwargs", "args", "route", "url_name", "namespaces", "scheme", "http_version",
};

typedef struct {
    PyTypeObject *fields, *slots, *way, *function;
    PyObject *sieves, *sieve; /* those that were asked last, and the one that was found */
    PyObject *closing;        /* by thread: the tape whose response is being closed there */
    PyObject *get_ident;      /* threading's, where it tells greenlets apart; NULL: threads are threads */
    PyObject *zero, *one, *hook, *ask_again, *nobody, *nothing, *never;
    PyObject *name[NAMES];
} State;

static struct PyModuleDef module;

static State *
state_of(PyObject *self)
{
    PyObject *found = PyType_GetModuleByDef(Py_TYPE(self), &module);
    return found == NULL ? NULL : PyModule_GetState(found);
}
