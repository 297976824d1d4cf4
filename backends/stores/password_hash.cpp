// SPDX-License-Identifier: BSD-2-Clause
//
// Neither library says of a hash that it could not be computed for want of memory: libcrypt calls it a bad
// setting, libsodium a wrong password. Whoever would be refused for such a reason must be told of an outage,
// so after a failure each is given a question that only memory can make it fail.
#include "backends/stores/password_hash.hpp"

#include "base/nul_byte.hpp"

#include <crypt.h>
#include <sodium.h>
#include <sys/mman.h>

#include <array>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <stdexcept>

namespace postern {

namespace {

/// OWASP's least for Argon2id (19 MiB, two passes, one lane). No more than that, because a mail host checks
/// many passwords at once and every worker holds this memory while it does.
struct Argon2idCost {
    std::size_t memory_bytes;
    unsigned long long passes;
};

constexpr Argon2idCost argon2id_cost{19 * 1024 * 1024, 2};

/// libcrypt's own memory, with the password and what is made of it: locked where the limits allow it, in no
/// core file, wiped at its end.
class CryptRun {
public:
    CryptRun();

    /// The hash under the salt and the costs that `setting` begins with; empty when there is none. Both must
    /// fit, with a NUL behind them.
    [[nodiscard]] std::string_view hash(std::string_view setting, std::string_view password) noexcept;

private:
    struct Wipe {
        void operator()(crypt_data* data) const noexcept { sodium_free(data); }
    };

    std::unique_ptr<crypt_data, Wipe> data_;
};

CryptRun::CryptRun()
{
    if (sodium_init() < 0)
        throw std::runtime_error{"libsodium cannot be initialised"};
    data_.reset(static_cast<crypt_data*>(sodium_malloc(sizeof(crypt_data))));
    if (!data_)
        throw std::bad_alloc{};
    std::memset(data_.get(), 0, sizeof(crypt_data));
}

std::string_view CryptRun::hash(std::string_view setting, std::string_view password) noexcept
{
    data_->setting[setting.copy(data_->setting, sizeof data_->setting - 1)] = '\0';
    data_->input[password.copy(data_->input, sizeof data_->input - 1)] = '\0';
    const char* const made = ::crypt_rn(data_->input, data_->setting, data_.get(), sizeof(crypt_data));
    return made == nullptr || *made == '*' ? std::string_view{} : made;
}

bool can_be_crypt_setting(std::string_view stored)
{
    return !stored.empty() && stored.size() < CRYPT_OUTPUT_SIZE && stored.find_first_of("*!") != 0 &&
           !has_nul(stored);
}

bool can_be_crypt_password(std::string_view password)
{
    return password.size() < CRYPT_MAX_PASSPHRASE_SIZE && !has_nul(password);
}

/// Costs what a new password on this host costs.
const std::string& default_setting()
{
    static const std::string setting = [] {
        std::array<char, CRYPT_GENSALT_OUTPUT_SIZE> memory{};
        const char* const made =
            ::crypt_gensalt_rn(nullptr, 0, nullptr, 0, memory.data(), static_cast<int>(memory.size()));
        return std::string{made == nullptr ? "" : made};
    }();
    return setting;
}

/// Whether libcrypt can hash at all.
bool spend(CryptRun& run, std::string_view password)
{
    return !run.hash(default_setting(), password).empty();
}

bool is_same(std::string_view hash, std::string_view stored)
{
    return hash.size() == stored.size() && sodium_memcmp(hash.data(), stored.data(), hash.size()) == 0;
}

/// What the hash says of itself: `$argon2id$v=19$m=19456,…`, in KiB.
std::size_t argon2id_memory_bytes(std::string_view stored)
{
    constexpr std::string_view key = "$m=";
    const std::size_t at = stored.find(key);
    std::uint32_t kibibytes = 0;
    if (at != std::string_view::npos)
        std::from_chars(stored.data() + at + key.size(), stored.data() + stored.size(), kibibytes);
    return std::size_t{kibibytes} * 1024;
}

bool is_to_be_had(std::size_t memory_bytes)
{
    void* const memory =
        ::mmap(nullptr, memory_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return false;
    ::munmap(memory, memory_bytes);
    return true;
}

} // namespace

bool crypt_matches(std::string_view stored, const Secret& password)
{
    if (!can_be_crypt_password(password.view()))
        return false;
    CryptRun run;
    const std::string_view hash =
        can_be_crypt_setting(stored) ? run.hash(stored, password.view()) : std::string_view{};
    if (!hash.empty())
        return is_same(hash, stored);
    if (!spend(run, password.view()))
        throw std::bad_alloc{};
    return false;
}

void spend_crypt(const Secret& password) noexcept
try {
    if (!can_be_crypt_password(password.view()))
        return; // as crypt_matches() does
    CryptRun run;
    static_cast<void>(spend(run, password.view()));

} catch (const std::exception&) { // whom nobody knows is unknown for want of memory too
}

std::string make_argon2id(const Secret& password)
{
    std::array<char, crypto_pwhash_argon2id_STRBYTES> made{};
    if (crypto_pwhash_argon2id_str(made.data(), password.view().data(), password.size(), argon2id_cost.passes,
                                   argon2id_cost.memory_bytes) != 0)
        throw std::bad_alloc{};
    return made.data();
}

bool argon2id_matches(std::string_view stored, const Secret& password)
{
    return stored.starts_with(crypto_pwhash_argon2id_STRPREFIX) && argon2_matches(stored, password);
}

bool argon2_matches(std::string_view stored, const Secret& password)
{
    std::array<char, crypto_pwhash_STRBYTES> text{};
    if (stored.size() >= text.size() || has_nul(stored) || has_nul(password.view()))
        return false;
    stored.copy(text.data(), stored.size());
    if (crypto_pwhash_str_verify(text.data(), password.view().data(), password.size()) == 0)
        return true;
    if (const std::size_t bytes = argon2id_memory_bytes(stored); bytes != 0 && !is_to_be_had(bytes))
        throw std::bad_alloc{};
    return false;
}

void spend_argon2id(const Secret& password) noexcept
try {
    static_cast<void>(make_argon2id(password));

} catch (const std::bad_alloc&) { // as for spend_crypt()
}

} // namespace postern
