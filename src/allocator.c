/* mimalloc gives freed memory back to the kernel after 10 ms, and following calls asks for it anew a moment later: cleared
 * pages, in small pieces where they were huge, cost up to a tenth of the CPU on large captures. What was not asked for in a
 * second is given back as before. C can set this, as can MIMALLOC_PURGE_DELAY, which goes before; safe Rust can not. */
#include <mimalloc.h>

__attribute__((constructor)) static void keep_freed_memory_for_a_second(void) {
    mi_option_set_default(mi_option_purge_delay, 1000 /* ms */);
}
