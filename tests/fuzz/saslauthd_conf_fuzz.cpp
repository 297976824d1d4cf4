// SPDX-License-Identifier: BSD-2-Clause

// Whatever is in a saslauthd.conf, what is read of it is what a worker may be told, and what is said of it
// shows no password.
#include "daemon/config_values.hpp"
#include "daemon/file_text.hpp"
#include "daemon/saslauthd_conf.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <algorithm>
#include <string>

using namespace postern;

namespace {

const TypeList& types_of_conf()
{
    static const TypeList types{find_backend_type("ldap"), find_backend_type("kerberos5")};
    return types;
}

const BackendOption* find(std::string_view key)
{
    for (const BackendType* const type : types_of_conf())
        if (const BackendOption* const option = find_option(*type, key))
            return option;
    return nullptr;
}

void check_value(std::string_view key, const std::string& value)
{
    const BackendOption* const option = find(key);
    promise(option != nullptr && option->key == key, "an option has its own name");
    promise(value.find_first_of(std::string_view{"\n\0", 2}) == std::string::npos,
            "a value has neither a line break nor a NUL");
    try {
        check_option(*option, value);
    } catch (const ConfigError&) {
        promise(false, "a value is what check_option() takes");
    }
}

void check_said(const std::vector<ConfigProblem>& list, std::size_t lines)
{
    for (const ConfigProblem& said : list) {
        promise(said.line <= lines && !said.text.empty() && said.section.empty(), "what is said has a line");
        promise(std::ranges::all_of(said.text, [](unsigned char c) { return c >= ' '; }),
                "what is said is one line");
    }
}

/// A password of at least some length, so that it is in no text by chance.
bool shows(const std::vector<ConfigProblem>& list, const std::string& secret)
{
    return std::ranges::any_of(list, [&secret](const ConfigProblem& said) {
        return said.text.find(secret) != std::string::npos || said.key.find(secret) != std::string::npos;
    });
}

/// What a line says without a colon, or behind the key of a password, stays where it is.
void check_secret(std::string_view text)
{
    constexpr const char* secret = "zq9xk7vw3";
    for (const char* const line :
         {"\nldap_password zq9xk7vw3", "\nldap_bind_pw: zq9xk7vw3", "\nzq9xk7vw3",
          "\nldap_passwort: zq9xk7vw3", "\nzq9xk7vw3-a: x", "\nldap_password:\nldap_zq9xk7vw3: x"}) {
        const SaslauthdConf read = read_saslauthd_conf(std::string{text} + line, types_of_conf());
        promise(!shows(read.problems, secret) && !shows(read.notes, secret), "a password is not shown");
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const std::string_view text = FuzzInput{data, size}.rest();
    const auto lines = static_cast<std::size_t>(std::ranges::count(text, '\n')) + 1;
    const SaslauthdConf read = read_saslauthd_conf(text, types_of_conf());
    for (const auto& [key, value] : read.options)
        check_value(key, value);
    check_said(read.problems, lines);
    check_said(read.notes, lines);
    promise(read.secret_line <= lines, "a password has a line");
    promise((read.secret_line != 0) == read.options.contains("ldap_password"),
            "the line is that of a password");
    if (text.find("zq9xk7vw3") == std::string_view::npos && size < config_file_bytes_max / 2)
        check_secret(text);
    return 0;
}
