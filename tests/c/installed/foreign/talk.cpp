#include "talk.c"
