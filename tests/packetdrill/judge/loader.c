// SPDX-License-Identifier: BSD-3-Clause
// leat-packetdrill.so: what packetdrill loads. It does so with RTLD_DEEPBIND, under which the C library's variables exist twice (getopt()
// sets one optarg, the EAL reads another). Hence nothing but this is loaded so; the adapter beside it is opened the usual way.
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "interface.h"

static void give_up(const char *why)
{
    fprintf(stderr, "leat-packetdrill: %s\n", why);
    exit(1);
}

void packetdrill_interface_init(const char *flags, struct packetdrill_interface *ifc)
{
    Dl_info self;
    char path[4096];
    packetdrill_interface_init_t init;
    if (!dladdr((void *)packetdrill_interface_init, &self) || !strrchr(self.dli_fname, '/'))
        give_up("does not know its own folder: name it with a path");
    snprintf(path, sizeof(path), "%.*s/leat-packetdrill-adapter.so",
             (int)(strrchr(self.dli_fname, '/') - self.dli_fname), self.dli_fname);
    void *adapter = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!adapter)
        give_up(dlerror());
    init = (packetdrill_interface_init_t)dlsym(adapter, "packetdrill_interface_init");
    if (!init)
        give_up(dlerror());
    init(flags, ifc);
}
