#include "library/config_keys.h"

namespace samplemind::library {

std::vector<ConfigKey> config_keys() {
  return {
      {"library.store",
       ConfigType::kString,
       "",
       "Address of a MongoDB that keeps the library: mongodb://HOST/DATABASE; empty: library.db in "
       "the data folder",
       {},
       true},
      {"library.scan_threads", ConfigType::kInteger, "0",
       "Files measured at once by a scan; 0: one a core"},
      {"library.watch_minutes", ConfigType::kInteger, "15",
       "Minutes between full looks at watched folders (network drives tell of no changes); 0: "
       "never"},
      {"library.queue_username", ConfigType::kString, "",
       "For AUTH at the Redis of scan --queue and worker; empty: the default user"},
      {"library.queue_password",
       ConfigType::kString,
       "",
       "For AUTH at the Redis of scan --queue and worker",
       {},
       true},
      {"library.queue_ca_file", ConfigType::kString, "",
       "PEM file to verify that Redis' certificate with; empty: the system's store"},
      {"library.demo_pack", ConfigType::kBool, "true",
       "Whether the very first start writes and scans the demo pack"},
  };
}

}  // namespace samplemind::library
