// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "tests/support/account_files.hpp"
#include "tests/support/backend_contract.hpp"

#include <catch2/catch.hpp>
#include <string>

namespace postern {

/// Users in the host's own files, as the contract's cases need them: getpwent and shadow have the same.
class AccountSource : public ContractSource {
public:
    [[nodiscard]] BackendOptions options() const override { return {}; }

    [[nodiscard]] Login known() const override { return {"alice", "s3cret pass"}; }

    [[nodiscard]] Login unknown() const override { return {"nobody", "s3cret pass"}; }

    [[nodiscard]] Login eight_bit() const override { return {"al\xefs\xff", "\xc3\xa9\x80\xff\x01"}; }

    [[nodiscard]] Login maximal() const override
    {
        return {std::string(field_bytes_max, 'u'), std::string(511, 'p')}; // libcrypt takes no more
    }

    AccountFiles files;
};

/// Bob's entry has a field that is no hash: he is not let in by it, nor by what it may have been made of.
inline void lets_nobody_in(LoadedBackend& backend, const std::string& field)
{
    CAPTURE(field);
    for (const std::string& password : {std::string{"bobs"}, field, std::string{"x"}, std::string{"*0"}}) {
        const Decision decision = backend.check({"bob", password});
        CHECK(decision.verdict == Verdict::rejected);
        CHECK(decision.reason == "Incorrect password");
    }
}

} // namespace postern
