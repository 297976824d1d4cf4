// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <krb5.h>

#include <string>

/// libkrb5's things, freed when they end. All but the context need one, which is lent.
namespace postern::kerberos5 {

/// Throws BackendError when there is none to be had.
class Context {
public:
    Context();
    Context(const Context&) = delete;
    Context& operator=(const Context&) = delete;
    ~Context() { ::krb5_free_context(context_); }

    [[nodiscard]] krb5_context get() const noexcept { return context_; }

    /// The incumbent's line of the log.
    [[nodiscard]] std::string answer_text(const char* call, krb5_error_code answer) const;

    /// For a call that can only fail in an outage: throws BackendError then.
    void must(const char* call, krb5_error_code answer) const;

private:
    krb5_context context_ = nullptr;
};

/// Nothing at first.
template <typename Handle, auto free_handle>
class Owned {
public:
    explicit Owned(const Context& context) noexcept : context_{context} {}
    Owned(const Owned&) = delete;
    Owned& operator=(const Owned&) = delete;
    ~Owned()
    {
        if (handle_ != nullptr)
            free_handle(context_.get(), handle_);
    }

    [[nodiscard]] Handle get() const noexcept { return handle_; }

    /// Where libkrb5 puts it.
    [[nodiscard]] Handle* place() noexcept { return &handle_; }

private:
    const Context& context_;
    Handle handle_ = nullptr;
};

using Principal = Owned<krb5_principal, ::krb5_free_principal>;
using TicketCache = Owned<krb5_ccache, ::krb5_cc_destroy>;
using Keytab = Owned<krb5_keytab, ::krb5_kt_close>;
using TicketOptions = Owned<krb5_get_init_creds_opt*, ::krb5_get_init_creds_opt_free>;

class Credentials {
public:
    explicit Credentials(const Context& context) noexcept : context_{context} {}
    Credentials(const Credentials&) = delete;
    Credentials& operator=(const Credentials&) = delete;
    ~Credentials() { ::krb5_free_cred_contents(context_.get(), &credentials_); }

    [[nodiscard]] krb5_creds* get() noexcept { return &credentials_; }

private:
    const Context& context_;
    krb5_creds credentials_{};
};

} // namespace postern::kerberos5
