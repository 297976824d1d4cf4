// SPDX-License-Identifier: BSD-2-Clause
#include "backends/kerberos5_handles.hpp"

#include "backends/backend.hpp"

namespace postern::kerberos5 {

Context::Context()
{
    must("krb5_init_context", ::krb5_init_context(&context_));
}

std::string Context::answer_text(const char* call, krb5_error_code answer) const
{
    const char* const text = ::krb5_get_error_message(context_, answer);
    std::string line = std::string{"auth_krb5: "} + call + ": " + text + " (" + std::to_string(answer) + ')';
    ::krb5_free_error_message(context_, text);
    return line;
}

void Context::must(const char* call, krb5_error_code answer) const
{
    if (answer != 0)
        throw BackendError{answer_text(call, answer)};
}

} // namespace postern::kerberos5
