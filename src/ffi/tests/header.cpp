// The header is also one of C++.
#include "tox_relay_client.h"

#include <cstring>

int main() {
    trc_error error = trc_config_new(nullptr, nullptr);
    trc_event event{};
    return error == TRC_ERROR_NULL && event.data == nullptr && std::strlen(trc_error_text(error)) > 0 ? 0 : 1;
}
