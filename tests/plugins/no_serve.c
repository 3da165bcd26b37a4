/*
 * no_serve: a plugin that lacks what it is for.
 */
#include <corod/plugin.h>

CO_PLUGIN(.name = "no_serve", .version = "1.0", .description = "Serves nothing.");
