// SPDX-License-Identifier: BSD-2-Clause
#include "backends/stores/scram_verifier.hpp"
#include "tests/support/program.hpp"
#include "tests/support/scram_client.hpp"

#include <catch2/catch.hpp>
#include <set>

namespace postern {

namespace {

struct Secrets {
    SecretArena arena{2048, 4};

    Secret operator()(std::string_view bytes) { return Secret{arena, bytes}; }
};

/// An exchange out of an RFC: user "user", password "pencil".
struct Example {
    ScramHash hash;
    std::string challenge; ///< of the server
    std::string transcript;
    std::string proof; ///< in base64, as the next
    std::string signature;
};

// RFC 5802, section 5
const Example sha1_example{
    ScramHash::sha1,
    "s=QSXCR+Q6sek8bf92,i=4096",
    "n=user,r=fyko+d2lbbFgONRv9qkxdawL,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,"
    "i=4096,c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j",
    "v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
    "rmF9pqV8S7suAoZWja4dJRkFsKQ=",
};

// RFC 7677, section 3
const Example sha256_example{
    ScramHash::sha256,
    "s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
    "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
    "s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
    "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
    "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
};

ScramVerifier verifier_for(const Example& example, const Secret& password)
{
    return ScramVerifier::make(example.hash, password, from_base64(attribute(example.challenge, 's')), 4096);
}

const std::string sha256_text = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
                                "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
                                "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
const std::string sha1_text = "SCRAM-SHA-1$4096:QSXCR+Q6sek8bf92$6dlGYMOdZcOPutkcNY8U2g7vK9Y=:"
                              "D+CSWLOshSulAsxiupA+qs2/fTE=";

/// `text` with the first `from` in it replaced.
std::string with(std::string text, std::string_view from, std::string_view to)
{
    return text.replace(text.find(from), from.size(), to);
}

/// What libgsasl's tool makes of a password, in our words.
std::string gsasl_text(const std::string& mechanism, const std::string& password)
{
    const ProgramRun run = run_program("/usr/bin/gsasl", {"gsasl", "--mkpasswd", "--mechanism", mechanism,
                                                          "--password", password, "--iteration-count", "4096",
                                                          "--salt", "W22ZaJ0SNY7soEsUEjb6gQ=="});
    // {SCRAM-SHA-256}4096,SALT,STOREDKEY,SERVERKEY
    std::string text = with(with(with(with(run.output, ",", ":"), ",", "$"), ",", ":"), "}", "$");
    return text.substr(1, text.find_last_not_of('\n'));
}

} // namespace

TEST_CASE("the exchanges of RFC 5802 and RFC 7677 are proven and signed", "[scram]")
{
    Secrets secret;
    const Example& example = GENERATE(std::cref(sha1_example), std::cref(sha256_example)).get();
    const ScramVerifier verifier = verifier_for(example, secret("pencil"));
    CHECK(verifier.challenge() == example.challenge);
    CHECK(verifier.prove(example.transcript, secret(from_base64(example.proof))) == example.signature);
}

TEST_CASE("nothing but the right proof for the right transcript is taken", "[scram]")
{
    Secrets secret;
    const Example& example = GENERATE(std::cref(sha1_example), std::cref(sha256_example)).get();
    const ScramVerifier verifier = verifier_for(example, secret("pencil"));
    const std::string proof = from_base64(example.proof);
    for (std::size_t bit = 0; bit < proof.size() * 8; ++bit) {
        std::string wrong = proof;
        wrong[bit / 8] = static_cast<char>(wrong[bit / 8] ^ (1 << bit % 8));
        CHECK_FALSE(verifier.prove(example.transcript, secret(wrong)));
    }
    CHECK_FALSE(verifier.prove(example.transcript + "x", secret(proof)));
    CHECK_FALSE(verifier.prove("", secret(proof)));
    CHECK_FALSE(verifier.prove(example.transcript, secret("")));
    CHECK_FALSE(verifier.prove(example.transcript, secret(proof + '\0')));
    CHECK_FALSE(verifier.prove(example.transcript, secret(proof.substr(1))));
    CHECK_FALSE(verifier_for(example, secret("Pencil")).prove(example.transcript, secret(proof)));
}

TEST_CASE("the keys of a password are written as Cyrus SASL writes them, and read again", "[scram]")
{
    Secrets secret;
    CHECK(verifier_for(sha256_example, secret("pencil")).text() == sha256_text);
    CHECK(verifier_for(sha1_example, secret("pencil")).text() == sha1_text);
    for (const std::string& text : {sha256_text, sha1_text}) {
        const auto verifier = ScramVerifier::parse(text);
        REQUIRE(verifier);
        CHECK(verifier->text() == text);
        CHECK(verifier->iterations() == 4096);
        CHECK(verifier->matches(secret("pencil")));
        CHECK_FALSE(verifier->matches(secret("pencil2")));
        CHECK_FALSE(verifier->matches(secret("")));
        CHECK_FALSE(verifier->matches(secret(text)));
    }
}

TEST_CASE("blanks are read where Cyrus SASL's plug-in reads over them", "[scram]")
{
    const auto verifier =
        ScramVerifier::parse("  " + with(with(sha256_text, "$", "  $ "), "==$", "== $  ") + " ");
    REQUIRE(verifier);
    CHECK(verifier->text() == sha256_text);
}

TEST_CASE("what is no verifier is none", "[scram]")
{
    const std::string text = GENERATE(
        std::string{}, std::string{"secret"}, std::string{"$:$:"}, std::string{"SCRAM-SHA-256$4096:$:"},
        with(sha256_text, "SHA-256", "SHA-1"), with(sha1_text, "SHA-1", "SHA-256"),
        with(sha256_text, "SHA-256", "SHA-512"), with(sha256_text, "SCRAM", "scram"),
        with(sha256_text, "4096", ""), with(sha256_text, "4096", "0"), with(sha256_text, "4096", "-1"),
        with(sha256_text, "4096", "+4096"), with(sha256_text, "4096", "0x1000"),
        with(sha256_text, "4096", "1000001"), with(sha256_text, "4096", "4294967297"),
        with(sha256_text, "4096", "4096x"), with(sha256_text, "W22ZaJ0SNY7soEsUEjb6gQ==", ""),
        with(sha256_text, "W22ZaJ0SNY7soEsUEjb6gQ==", "W22ZaJ0SNY7soEsUEjb6gQ"),
        with(sha256_text, "W22Z", "W2!Z"), with(sha256_text, "W22Z", "W2 Z"),
        with(sha256_text, "W22Z", "W2\nZ"),
        with(sha256_text, "W22ZaJ0SNY7soEsUEjb6gQ==", std::string(176, 'A')), with(sha256_text, "WG5d", ""),
        with(sha256_text, "WG5d", "WG5dWG5d"), with(sha256_text, "wfPL", ""),
        with(sha256_text, "wfPL", "wfPLwfPL"), with(sha256_text, "2dU=", "2dU"), sha256_text + ":x",
        sha256_text + "x", sha256_text + " SCRAM-SHA-1", sha256_text + '\0', with(sha256_text, ":wf", "$wf"),
        with(sha256_text, "$WG5d", ":WG5d"));
    CAPTURE(text);
    CHECK_FALSE(ScramVerifier::parse(text));
}

TEST_CASE("every proper prefix of a verifier is none", "[scram]")
{
    for (std::size_t size = 0; size < sha256_text.size(); ++size)
        CHECK_FALSE(ScramVerifier::parse(std::string_view{sha256_text}.substr(0, size)));
}

TEST_CASE("the bounds of a verifier are read, and no byte more", "[scram]")
{
    CHECK(ScramVerifier::parse(with(sha256_text, "4096", "1000000"))->iterations() == scram_iterations_max);
    CHECK(ScramVerifier::parse(with(sha256_text, "4096", "1"))->iterations() == 1);
    CHECK(
        ScramVerifier::parse(with(sha256_text, "W22ZaJ0SNY7soEsUEjb6gQ==", std::string(168, 'A') + "AAA=")));
    CHECK_FALSE(ScramVerifier::parse(with(sha256_text, "W22ZaJ0SNY7soEsUEjb6gQ==", std::string(172, 'A'))));
}

TEST_CASE("a new verifier has a salt of its own and the work that its header promises", "[scram]")
{
    Secrets secret;
    std::set<std::string> challenges;
    for (int i = 0; i < 4; ++i) {
        const ScramVerifier verifier = ScramVerifier::make(ScramHash::sha256, secret("pencil"));
        CHECK(verifier.iterations() == scram_iterations);
        CHECK(from_base64(attribute(verifier.challenge(), 's')).size() == scram_salt_bytes);
        CHECK(verifier.matches(secret("pencil")));
        challenges.insert(verifier.challenge());
    }
    CHECK(challenges.size() == 4);
}

TEST_CASE("a password is prepared as libgsasl prepares it", "[scram]")
{
    Secrets secret;
    const std::string password =
        GENERATE(std::string{"pencil"}, std::string{" !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ "},
                 std::string{"\xc3\xa9"}, std::string{"e\xcc\x81"}, std::string{"a\xc2\xa0z"},
                 std::string{"\xc2\xaa"}, std::string{"I\xc2\xadX"}, std::string{"\xe2\x85\xa8"});
    CAPTURE(password);
    const std::string salt = from_base64("W22ZaJ0SNY7soEsUEjb6gQ==");
    for (const auto& [mechanism, hash] :
         {std::pair{"SCRAM-SHA-1", ScramHash::sha1}, std::pair{"SCRAM-SHA-256", ScramHash::sha256}})
        CHECK(ScramVerifier::make(hash, secret(password), salt, 4096).text() ==
              gsasl_text(mechanism, password));
}

TEST_CASE("a password that SASLprep changes or refuses", "[scram]")
{
    Secrets secret;
    const auto made_of = [&](std::string_view password) {
        return ScramVerifier::make(ScramHash::sha256, secret(password), "salt", 1).text();
    };
    SECTION("is the one that it becomes")
    {
        CHECK(made_of("I\xc2\xadX") == made_of("IX"));      // RFC 4013, section 3
        CHECK(made_of("\xc2\xaa") == made_of("a"));         // the same
        CHECK(made_of("\xe2\x85\xa8") == made_of("IX"));    // the same
        CHECK(made_of("e\xcc\x81") == made_of("\xc3\xa9")); // composed
        CHECK(made_of("USER") != made_of("user"));          // case is kept
    }
    SECTION("is its bytes where it is refused")
    {
        for (const std::string_view refused : {"a\x07", "\xd8\xa7\x31", "\xff\xfe", "\xf0\x9f\x94\x91"})
            CHECK(made_of(refused) == made_of(refused));
        CHECK(made_of("\xff\xfe") != made_of("\xff\xff"));
        CHECK(made_of("a\x07") != made_of("a"));
        CHECK(made_of("e\xcc\x81\xff") != made_of("\xc3\xa9\xff"));
    }
    SECTION("is its bytes where nothing would be left, or a NUL would end it")
    {
        using namespace std::string_view_literals;
        CHECK(made_of("\xc2\xad") != made_of(""));
        CHECK(made_of("\xc2\xad") != made_of("\xc2\xad\xc2\xad"));
        CHECK(made_of("\xc3\xa9\0z"sv) != made_of("\xc3\xa9"));
        CHECK(made_of("\0\xc3\xa9"sv) != made_of(""));
    }
}

TEST_CASE("a password of which SASLprep leaves nothing is told from others", "[scram]")
{
    Secrets secret;
    for (const std::string_view nothing : {"\xc2\xad", "\xe2\x81\xa0\xef\xbb\xbf"})
        CHECK(is_nothing_when_prepared(secret(nothing)));
    for (const std::string_view other : {"", "x", " ", "\xc2\xa0", "\xc2\xadx", "\xff", "\x07"})
        CHECK_FALSE(is_nothing_when_prepared(secret(other)));
}

TEST_CASE("the digest of RFC 2195 is proven, in either case, and no other", "[scram]")
{
    Secrets secret;
    const std::string challenge = "<1896.697170952@postoffice.reston.mci.net>";
    const std::string digest = "b913a602c7eda7a495b4e6e7334d3890";
    const auto proves = [&](std::string_view password, std::string_view asked, std::string_view proof) {
        return cram_md5_proves(secret(password), asked, secret(proof));
    };
    CHECK(proves("tanstaaftanstaaf", challenge, digest));
    CHECK(proves("tanstaaftanstaaf", challenge, "B913A602C7EDA7A495B4E6E7334D3890"));
    CHECK_FALSE(proves("tanstaaftanstaag", challenge, digest));
    CHECK_FALSE(proves("tanstaaftanstaaf", challenge + ' ', digest));
    for (std::size_t i = 0; i < digest.size(); ++i) {
        std::string wrong = digest;
        wrong[i] = wrong[i] == '0' ? '1' : '0';
        CHECK_FALSE(proves("tanstaaftanstaaf", challenge, wrong));
        CHECK_FALSE(proves("tanstaaftanstaaf", challenge, digest.substr(0, i)));
        wrong[i] = 'g';
        CHECK_FALSE(proves("tanstaaftanstaaf", challenge, wrong));
    }
    CHECK_FALSE(proves("tanstaaftanstaaf", challenge, digest + "00"));
}

TEST_CASE("a mechanism is known by its own name alone", "[scram]")
{
    CHECK(scram_hash_of("SCRAM-SHA-1") == ScramHash::sha1);
    CHECK(scram_hash_of("SCRAM-SHA-256") == ScramHash::sha256);
    for (const std::string_view other :
         {"", "SCRAM-SHA-256-PLUS", "scram-sha-256", "SCRAM-SHA-25", "CRAM-MD5"})
        CHECK_FALSE(scram_hash_of(other));
}

} // namespace postern
