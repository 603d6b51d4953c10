// The program's allocator is jemalloc: a request makes some hundred small allocations on its loop's
// thread, where glibc's arenas grow and shrink page by page (measured on the gateway's miss path:
// 50 against 41 us of CPU a request). What was freed goes back to the system within two seconds,
// also when the service is idle.
extern "C" {
extern const char* malloc_conf;  // read by jemalloc before main()
const char* malloc_conf = "background_thread:true,dirty_decay_ms:2000,muzzy_decay_ms:0";
}
