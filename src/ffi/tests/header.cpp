// The header is also one of C++.
#include "tox_relay_client.h"

#include <cstring>

int main() {
    trc_error error = TRC_OK;
    trc_event event{};
    if (error != TRC_OK || event.data != nullptr) {
        return 1;
    }
    error = trc_config_new(nullptr, nullptr);
    return error == TRC_ERROR_NULL && std::strlen(trc_error_text(error)) > 0 ? 0 : 1;
}
