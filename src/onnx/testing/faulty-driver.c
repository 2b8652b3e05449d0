/*
 * A Vulkan driver that hands everything on to another one (FAULTY_DRIVER_OF, a library) until it fails as FAULTY_DRIVER says:
 *   open=0      vkCreateDevice fails
 *   lost=N      the device is lost when N submits to its queue have been made
 *   full=BYTES  vkAllocateMemory fails once so much was asked for, freed or not
 *   shader=N    vkCreateComputePipelines fails after N of them
 * So errors arise where those of hardware do, and come up through Dawn and ONNX Runtime as theirs. Declared by hand: no headers are needed.
 */
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { OUT_OF_DEVICE_MEMORY = -2, INITIALIZATION_FAILED = -3, DEVICE_LOST = -4, UNKNOWN = -13 };

typedef void (*Function)(void);
typedef Function (*Lookup)(void *owner, const char *name);

static Lookup of_instance, of_device;
static Function submit, allocate, create_pipelines, create_device;

/* How much of it goes well. */
static uint64_t limit(const char *fault) {
  const char *set = getenv("FAULTY_DRIVER");
  size_t length = strlen(fault);
  if (set == NULL || strncmp(set, fault, length) != 0 || set[length] != '=') return UINT64_MAX;
  return strtoull(set + length + 1, NULL, 10);
}

static int submit_or_lose(void *queue, uint32_t count, const void *submits, uint64_t fence) {
  static uint64_t done;
  if (done++ >= limit("lost")) return DEVICE_LOST;
  return ((int (*)(void *, uint32_t, const void *, uint64_t))submit)(queue, count, submits, fence);
}

struct allocation {
  int type;
  const void *next;
  uint64_t size;
  uint32_t memory;
};

static int allocate_or_refuse(void *device, const struct allocation *what, const void *with, uint64_t *memory) {
  static uint64_t taken;
  taken += what->size;
  if (taken > limit("full")) return OUT_OF_DEVICE_MEMORY;
  return ((int (*)(void *, const void *, const void *, uint64_t *))allocate)(device, what, with, memory);
}

static int create_pipelines_or_refuse(void *device, uint64_t cache, uint32_t count, const void *of, const void *with,
                                      uint64_t *made) {
  static uint64_t done;
  if (done++ >= limit("shader")) return UNKNOWN;
  return ((int (*)(void *, uint64_t, uint32_t, const void *, const void *, uint64_t *))create_pipelines)(
      device, cache, count, of, with, made);
}

static int create_device_or_refuse(void *physical, const void *of, const void *with, void **device) {
  if (limit("open") == 0) return INITIALIZATION_FAILED;
  return ((int (*)(void *, const void *, const void *, void **))create_device)(physical, of, with, device);
}

static Function replaced(const char *name, Function found) {
  const struct {
    const char *name;
    Function *theirs, ours;
  } all[] = {
      {"vkQueueSubmit", &submit, (Function)submit_or_lose},
      {"vkAllocateMemory", &allocate, (Function)allocate_or_refuse},
      {"vkCreateComputePipelines", &create_pipelines, (Function)create_pipelines_or_refuse},
      {"vkCreateDevice", &create_device, (Function)create_device_or_refuse},
  };
  for (size_t i = 0; found != NULL && i < sizeof all / sizeof *all; i++) {
    if (strcmp(name, all[i].name) != 0) continue;
    *all[i].theirs = found;
    return all[i].ours;
  }
  return found;
}

static Function find_of_device(void *device, const char *name) { return replaced(name, of_device(device, name)); }

static void *theirs(const char *name) {
  static void *library;
  if (library == NULL) library = dlopen(getenv("FAULTY_DRIVER_OF"), RTLD_NOW | RTLD_LOCAL);
  return library == NULL ? NULL : dlsym(library, name);
}

/* What Vulkan's loader asks of a driver. */

int vk_icdNegotiateLoaderICDInterfaceVersion(uint32_t *version) {
  int (*negotiate)(uint32_t *) = (int (*)(uint32_t *))theirs("vk_icdNegotiateLoaderICDInterfaceVersion");
  return negotiate == NULL ? INITIALIZATION_FAILED : negotiate(version);
}

Function vk_icdGetInstanceProcAddr(void *instance, const char *name) {
  of_instance = (Lookup)theirs("vk_icdGetInstanceProcAddr");
  Function found = of_instance(instance, name);
  if (found == NULL || strcmp(name, "vkGetDeviceProcAddr") != 0) return replaced(name, found);
  of_device = (Lookup)found;
  return (Function)find_of_device;
}

Function vk_icdGetPhysicalDeviceProcAddr(void *instance, const char *name) {
  Lookup of_physical = (Lookup)theirs("vk_icdGetPhysicalDeviceProcAddr");
  return of_physical == NULL ? NULL : replaced(name, of_physical(instance, name));
}
