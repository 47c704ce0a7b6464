/* mimalloc gives freed memory back to the kernel after 10 ms, and following calls asks for it anew a moment later: pages
 * that must be cleared, in small pieces where they were huge, cost a tenth of the CPU on large captures. Waiting longer
 * saves that; waiting for more than this saves little more, and holds more memory. C can set this, as can
 * MIMALLOC_PURGE_DELAY, which goes before; safe Rust can not. */
#include <mimalloc.h>

__attribute__((constructor)) static void keep_freed_memory_for_a_while(void) {
    mi_option_set_default(mi_option_purge_delay, 25 /* ms */);
}
