// SPDX-License-Identifier: BSD-2-Clause
#include "tools/bench_writer.hpp"

#include "base/byte_reader.hpp"
#include "protocol/dovecot_client.hpp"
#include "protocol/sasl_mechanism.hpp"
#include "protocol/saslauthd.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace postern {

namespace {

Secret with_a_letter_behind(const Secret& password, SecretArena& secrets)
{
    Secret longer{secrets, password.view()};
    longer.resize(password.size() + 1);
    longer.buffer()[password.size()] = 'x';
    return longer;
}

/// Puts texts behind each other into memory that has room for them.
std::string_view joined(std::span<char> memory, std::initializer_list<std::string_view> texts)
{
    std::size_t size = 0;
    for (const std::string_view text : texts) {
        if (memory.size() - size < text.size())
            throw std::length_error{"a login is too long"};
        size += text.copy(memory.data() + size, text.size());
    }
    return {memory.data(), size};
}

} // namespace

BenchWriter::BenchWriter(std::string service, std::string realm, const Secret& password, SecretArena& secrets)
    : service_{std::move(service)}
    , realm_{std::move(realm)}
    , password_{with_a_letter_behind(password, secrets)}
{
}

std::string_view BenchWriter::saslauthd_request(std::span<char> memory, const BenchLogin& login) const
{
    return saslauthd::write_request(memory.first(login_bytes_max),
                                    {login.user, password_for(login), service_, realm_, {}, false});
}

std::string_view BenchWriter::dovecot_auth(std::span<char> memory, std::uint32_t id,
                                           const BenchLogin& login) const
{
    const dovecot::Parameters parameters{.service = service_, .is_secured = true};
    return dovecot::write_auth(memory.first(login_bytes_max), id,
                               sasl::mechanism_name(sasl::Mechanism::plain), parameters,
                               plain_message(memory.subspan(login_bytes_max), login));
}

std::string_view BenchWriter::password_for(const BenchLogin& login) const
{
    const std::string_view wrong = password_.view();
    return login.is_right ? wrong.substr(0, wrong.size() - 1) : wrong;
}

/// RFC 4616; the realm is said with the name.
std::string_view BenchWriter::plain_message(std::span<char> memory, const BenchLogin& login) const
{
    constexpr std::string_view nul{"\0", 1};
    return joined(memory, {nul, login.user, realm_.empty() ? "" : "@", realm_, nul, password_for(login)});
}

} // namespace postern
