// SPDX-License-Identifier: BSD-2-Clause
#include "protocol/request.hpp"
#include "protocol/verdict.hpp"
#include "tests/support/sasl_conversation.hpp"

#include <catch2/catch.hpp>

using namespace postern;
using namespace std::string_literals;
using sasl::Mechanism;

namespace {

const std::string malformed = "fail: the response is malformed";
const std::string unsupported = "fail: the client demands what was not offered";
const std::string inconsistent = "fail: the response contradicts what was said before (user)";
const std::string too_long = "fail: the response is too long";

/// Of the right size, and of nobody's password.
const std::string proof = "AAECAwQFBgcICQoLDA0ODxAREhM=";

/// What is said to a client that begins so.
std::string answer(const std::string& client_first, const ConversationTerms& terms = {})
{
    return answer_to(Mechanism::scram_sha_1, client_first, terms);
}

/// An exchange of SCRAM-SHA-1 with "user", whose nonce is "client".
struct Begun {
    SecretArena arena{1024, 2};
    std::unique_ptr<sasl::Exchange> exchange;

    explicit Begun(const std::string& gs2_header = "n,,", const std::string& extensions = "")
        : exchange{make_exchange(Mechanism::scram_sha_1, {.secrets = arena, .nonce = "server"})}
    {
        CHECK(step_text(exchange->begin(gs2_header + "n=user,r=client" + extensions)) ==
              "ask challenge: user");
    }

    std::string challenged(const std::string& reply) { return step_text(exchange->take_challenge(reply)); }

    /// What is said to that as the final message.
    std::string final(const std::string& message)
    {
        CHECK(challenged("s=QSXC,i=4096") == "S: r=clientserver,s=QSXC,i=4096");
        return step_text(exchange->take(message));
    }
};

std::string answer_to_final(const std::string& message)
{
    return Begun{}.final(message);
}

/// The transcript that a final message makes, without its proof.
std::string checked(const std::string& without_proof)
{
    return "check proof: user n=user,r=client,r=clientserver,s=QSXC,i=4096," + without_proof + " " + proof;
}

} // namespace

TEST_CASE("SCRAM-SHA-1 goes as in section 5 of RFC 5802", "[sasl][scram]")
{
    converse(Mechanism::scram_sha_1,
             R"(
        C: n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL
        ask challenge: user
        B: s=QSXCR+Q6sek8bf92,i=4096
        S: r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096
        C: c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=
        check proof: user )"
             "n=user,r=fyko+d2lbbFgONRv9qkxdawL,"
             "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096,"
             "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j "
             R"(v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=
        B: rmF9pqV8S7suAoZWja4dJRkFsKQ=
        S: v=rmF9pqV8S7suAoZWja4dJRkFsKQ=
        C:
        succeed
    )",
             {.nonce = "3rfcNHYJY1ZVvWVs7j"});
}

TEST_CASE("SCRAM-SHA-256 goes as in section 3 of RFC 7677", "[sasl][scram]")
{
    converse(Mechanism::scram_sha_256,
             R"(
        C: n,,n=user,r=rOprNGfwEbeRWgbNEkqO
        ask challenge: user
        B: s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096
        S: r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096
        C: c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,)"
             R"(p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=
        check proof: user )"
             "n=user,r=rOprNGfwEbeRWgbNEkqO,"
             "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,"
             "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0 "
             R"(dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=
        B: 6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=
        S: v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=
        C:
        succeed
    )",
             {.nonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"});
}

TEST_CASE("a client that can get data with its OK gets the server's signature there", "[sasl][scram]")
{
    converse(Mechanism::scram_sha_1,
             R"(
        C: n,,n=user,r=client
        ask challenge: user
        B: s=QSXC,i=4096
        S: r=clientserver,s=QSXC,i=4096
        C: c=biws,r=clientserver,p=AAECAwQFBgcICQoLDA0ODxAREhM=
        check proof: user )"
             "n=user,r=client,r=clientserver,s=QSXC,i=4096,c=biws,r=clientserver "
             R"(AAECAwQFBgcICQoLDA0ODxAREhM=
        B: rmF9pqV8S7suAoZWja4dJRkFsKQ=
        succeed v=rmF9pqV8S7suAoZWja4dJRkFsKQ=
    )",
             {.takes_data_with_success = true});
}

TEST_CASE("a client of SCRAM without an initial response is asked for it", "[sasl][scram]")
{
    converse(Mechanism::scram_sha_256, R"(
        S:
        C: n,,n=user,r=client
        ask challenge: user
    )");
}

TEST_CASE("a client of SCRAM has nothing to say to the server's signature", "[sasl][scram]")
{
    Begun begun;
    CHECK(begun.final("c=biws,r=clientserver,p=" + proof) == checked("c=biws,r=clientserver"));
    CHECK(step_text(begun.exchange->take_acceptance(proof)) == "S: v=" + proof);
    CHECK(step_text(begun.exchange->take("x")) == malformed + " (user)");
    CHECK(step_text(begun.exchange->take("")) == "fail: the response was not asked for");
}

TEST_CASE("a client that could bind channels is content that it was not offered", "[sasl][scram]")
{
    CHECK(Begun{"y,,"}.final("c=eSws,r=clientserver,p=" + proof) == checked("c=eSws,r=clientserver"));
}

TEST_CASE("a client that insists on channel binding is refused", "[sasl][scram]")
{
    CHECK(answer("p=tls-unique,,n=user,r=client") == unsupported);
    CHECK(answer("p=tls-exporter,a=user,n=user,r=client") == unsupported);
}

TEST_CASE("SCRAM's channel binding is base64 of the header that was sent", "[sasl][scram]")
{
    CHECK(Begun{"n,a=user,"}.final("c=bixhPXVzZXIs,r=clientserver,p=" + proof) ==
          checked("c=bixhPXVzZXIs,r=clientserver"));
    CHECK(Begun{"n,a=user,"}.final("c=biws,r=clientserver,p=" + proof) == inconsistent);
    CHECK(Begun{"y,,"}.final("c=biws,r=clientserver,p=" + proof) == inconsistent);
    for (const auto* binding : {"eSws", "biwt", "biwsbiws", "biw", "biws=", "n,,", "BIWS"})
        CHECK(answer_to_final("c="s + binding + ",r=clientserver,p=" + proof) ==
              (binding == "n,,"s ? malformed + " (user)" : inconsistent));
}

TEST_CASE("SCRAM lets a user act for himself and for nobody else", "[sasl][scram]")
{
    const std::string refused = "fail: the client wants to act for somebody else";
    CHECK(answer("n,a=user,n=user,r=client") == "ask challenge: user");
    CHECK(answer("n,a=us=2Cer,n=us=2Cer,r=client") == "ask challenge: us,er");
    CHECK(answer("n,a=root,n=user,r=client") == refused + " (user)");
    CHECK(answer("n,a=User,n=user,r=client") == refused + " (user)");
    CHECK(answer("n,a=us=3Der,n=us=2Cer,r=client") == refused + " (us,er)");
}

TEST_CASE("a SCRAM message that begins otherwise is malformed", "[sasl][scram]")
{
    const auto message =
        GENERATE(""s, "n"s, "n,"s, "n,,"s, ",,n=user,r=client"s, "x,,n=user,r=client"s, "N,,n=user,r=client"s,
                 "nn,,n=user,r=client"s, "n=,,n=user,r=client"s, "n,n=user,r=client"s,
                 "n,a=,n=user,r=client"s, "n,b=user,n=user,r=client"s, "n,user,n=user,r=client"s,
                 "n,a=us=er,n=user,r=client"s, "n,a=user=,n=user,r=client"s, "n,a=us\0r,n=user,r=client"s,
                 "user"s, "n,,r=client,n=user"s, "\0user\0s3cret"s);
    CAPTURE(message);
    CHECK(answer(message) == malformed);
}

TEST_CASE("a SCRAM client names itself and brings a nonce", "[sasl][scram]")
{
    const auto bare = GENERATE(
        ""s, "n=user"s, "n=user,"s, "r=client"s, "n=,r=client"s, "n=user,r="s, "n=user,r=client,"s,
        "n=user,,r=client"s, ",n=user,r=client"s, "N=user,r=client"s, "n=user,R=client"s, "n:user,r=client"s,
        "n=user,x=1,r=client"s, "n=user,r=cli ent"s, "n=user,r=cli\x7f"s, "n=user,r=cli\0ent"s,
        "n=user,r=cli\xc3\xa4"s, "n=us\0er,r=client"s, "n=user,n=user,r=client"s);
    CAPTURE(bare);
    CHECK(answer("n,," + bare) == malformed);
}

TEST_CASE("comma and equals sign are written otherwise in a SCRAM name", "[sasl][scram]")
{
    CHECK(answer("n,,n=a=2Cb=3Dc,r=client") == "ask challenge: a,b=c");
    CHECK(answer("n,,n==3D2C,r=client") == "ask challenge: =2C");
    CHECK(answer("n,,n==2C=2C,r=client") == "ask challenge: ,,");
    CHECK(answer("n,,n=j\xc3\xb6hn,r=client") == "ask challenge: j\xc3\xb6hn");
    for (const auto* name : {"=", "a=", "a=2", "a=3", "a=2c", "a=3d", "a=20", "a=b", "==", "=3=D"})
        CHECK(answer("n,,n="s + name + ",r=client") == malformed);
}

TEST_CASE("a name with a control byte is refused by SCRAM", "[sasl][scram]")
{
    for (int number = 1; number < 256; ++number) {
        CAPTURE(number);
        if (number == ',' || number == '=')
            continue;
        const std::string user = std::string{"us"} + static_cast<char>(number) + "er";
        const bool is_control = number < 0x20 || number == 0x7f;
        CHECK(answer("n,,n=" + user + ",r=client") ==
              (is_control ? "fail: the name of the user has a control byte" : "ask challenge: " + user));
    }
}

TEST_CASE("an extension of SCRAM is ignored, signed, and refused where it is mandatory", "[sasl][scram]")
{
    CHECK(answer("n,,n=user,r=client,x=1,Y=a=b") == "ask challenge: user");
    CHECK(Begun("n,,", ",x=1").final("c=biws,r=clientserver,z=2,p=" + proof) ==
          "check proof: user n=user,r=client,x=1,r=clientserver,s=QSXC,i=4096,c=biws,r=clientserver,z=2 " +
              proof);

    CHECK(answer("n,,m=1,n=user,r=client") == unsupported);
    CHECK(answer("n,,n=user,m=1,r=client") == unsupported);
    CHECK(answer("n,,n=user,r=client,m=1") == unsupported);
    CHECK(answer_to_final("m=1,c=biws,r=clientserver,p=" + proof) == unsupported + " (user)");
    CHECK(answer_to_final("c=biws,r=clientserver,m=1,p=" + proof) == unsupported + " (user)");

    const auto extension = GENERATE(""s, "x"s, "x="s, "1=x"s, "=x"s, "xy=z"s, "x=\0"s);
    CAPTURE(extension);
    CHECK(answer("n,,n=user,r=client," + extension) == malformed);
    CHECK(answer_to_final("c=biws,r=clientserver," + extension + ",p=" + proof) == malformed + " (user)");
}

TEST_CASE("SCRAM's user and nonce are bounded", "[sasl][scram]")
{
    const ConversationTerms terms{.field_bytes_max = 4};
    CHECK(answer("n,,n=abc,r=client", terms) == "ask challenge: abc");
    CHECK(answer("n,,n=abc=2C,r=client", terms) == "ask challenge: abc,"); // as it is, not as it is written
    CHECK(answer("n,,n=abcde,r=client", terms) == too_long);

    const std::size_t most = sasl::client_nonce_bytes_max;
    for (const std::size_t size : {most - 1, most})
        CHECK(answer("n,,n=user,r=" + std::string(size, 'x')) == "ask challenge: user");
    CHECK(answer("n,,n=user,r=" + std::string(most + 1, 'x')) == too_long + " (user)");
}

TEST_CASE("a first message of SCRAM that no transcript could hold is refused", "[sasl][scram]")
{
    const std::string begin = "n,,n=user,r=client,x=";
    for (const std::size_t size : {transcript_bytes_max - 1, transcript_bytes_max})
        CHECK(answer(begin + std::string(size - begin.size(), 'x')) == "ask challenge: user");
    CHECK(answer(begin + std::string(transcript_bytes_max + 1 - begin.size(), 'x')) == too_long);
}

TEST_CASE("a transcript of SCRAM is bounded", "[sasl][scram]")
{
    const std::string before = "n=user,r=client,r=clientserver,s=QSXC,i=4096,";
    const std::string begin = "c=biws,r=clientserver,x=";
    const auto final_of = [&](std::size_t transcript_bytes) {
        return begin + std::string(transcript_bytes - before.size() - begin.size(), 'x');
    };
    for (const std::size_t size : {transcript_bytes_max - 1, transcript_bytes_max}) {
        const std::string message = final_of(size);
        CHECK(answer_to_final(message + ",p=" + proof) == checked(message));
    }
    CHECK(answer_to_final(final_of(transcript_bytes_max + 1) + ",p=" + proof) == too_long + " (user)");
}

TEST_CASE("SCRAM's final message repeats the whole nonce", "[sasl][scram]")
{
    CHECK(answer_to_final("c=biws,r=clientserver,p=" + proof) == checked("c=biws,r=clientserver"));
    for (const auto* nonce :
         {"client", "server", "clientserve", "clientserverx", "Clientserver", "clientclient"})
        CHECK(answer_to_final("c=biws,r="s + nonce + ",p=" + proof) == inconsistent);
}

TEST_CASE("a final message of SCRAM has its form", "[sasl][scram]")
{
    const auto message = GENERATE(
        ""s, "c=biws"s, "c=biws,r=clientserver"s, "c=biws,r=clientserver,"s, "c=biws,r=clientserver,p="s,
        "c=biws,p=AAECAwQFBgcICQoLDA0ODxAREhM="s, "r=clientserver,p=AAECAwQFBgcICQoLDA0ODxAREhM="s,
        "r=clientserver,c=biws,p=AAECAwQFBgcICQoLDA0ODxAREhM="s, "p=AAECAwQFBgcICQoLDA0ODxAREhM="s,
        ",p=AAECAwQFBgcICQoLDA0ODxAREhM="s, "c=biws,r=clientserver,p=AAECAwQFBgcICQoLDA0ODxAREhM=,x=1"s,
        "p=AAECAwQFBgcICQoLDA0ODxAREhM=,c=biws,r=clientserver"s,
        "c=,r=clientserver,p=AAECAwQFBgcICQoLDA0ODxAREhM="s, "c=biws,r=,p=AAECAwQFBgcICQoLDA0ODxAREhM="s,
        "c=biws,r=clientserver,P=AAECAwQFBgcICQoLDA0ODxAREhM="s);
    CAPTURE(message);
    CHECK(answer_to_final(message) == malformed + " (user)");
}

TEST_CASE("SCRAM's proof is base64 of as many bytes as the digest has", "[sasl][scram]")
{
    const auto text = GENERATE("AAECAwQFBgcICQoLDA0ODxAREg=="s, // 19 bytes
                               "AAECAwQFBgcICQoLDA0ODxAREhMU"s, // 21
                               "AAECAwQFBgcICQoLDA0ODxAREhM"s,  // unpadded
                               "AAECAwQFBgcICQoLDA0ODxAREhN="s, // bits behind the end
                               "AAECAwQFBgcICQoLDA0ODxAREhM=="s, "AAECAwQFBgcICQoLDA0ODxAREh-="s,
                               " AAECAwQFBgcICQoLDA0ODxAREhM="s, "AAECAwQFBgcICQoLDA0ODxAREhM=\0"s);
    CAPTURE(text);
    CHECK(answer_to_final("c=biws,r=clientserver,p=" + text) == malformed + " (user)");
    CHECK(answer_to_final("c=biws,r=clientserver,p=" + std::string(8192, 'A')) == malformed + " (user)");
}

TEST_CASE("SCRAM-SHA-256 takes no proof of SHA-1", "[sasl][scram]")
{
    converse(Mechanism::scram_sha_256, R"(
        C: n,,n=user,r=client
        ask challenge: user
        B: s=QSXC,i=4096
        S: r=clientserver,s=QSXC,i=4096
        C: c=biws,r=clientserver,p=AAECAwQFBgcICQoLDA0ODxAREhM=
        fail: the response is malformed (user)
    )");
}

TEST_CASE("a challenge of a backend that makes no sense is an outage", "[sasl][scram]")
{
    const std::string outage = "fail: the backend's reply is malformed (user)";
    const auto reply = GENERATE(
        ""s, "s=QSXC"s, "i=4096"s, "i=4096,s=QSXC"s, "s=QSXC,i="s, "s=,i=4096"s, "s=QSXC,i=0"s,
        "s=QSXC,i=04096"s, "s=QSXC,i=-1"s, "s=QSXC,i=+1"s, "s=QSXC,i=1e3"s, "s=QSXC,i=4096 "s,
        "s=QSXC,i=4096,"s, "s=QSXC,i=4096,x=1"s, "m=1,s=QSXC,i=4096"s, "s=QSX,i=4096"s, "s=QSXC\r\n,i=4096"s,
        "s=QSXC,i=4294967297"s, "s=QSXC,i=99999999999999999999"s, "r=x,s=QSXC,i=4096"s);
    CAPTURE(reply);
    CHECK(Begun{}.challenged(reply) == outage);
}

TEST_CASE("a challenge of a backend is bounded", "[sasl][scram]")
{
    const std::string outage = "fail: the backend's reply is malformed (user)";
    CHECK(Begun{}.challenged("s=QSXC,i=1") == "S: r=clientserver,s=QSXC,i=1");
    CHECK(Begun{}.challenged("s=QSXC,i=999999") == "S: r=clientserver,s=QSXC,i=999999");
    CHECK(Begun{}.challenged("s=QSXC,i=1000000") == "S: r=clientserver,s=QSXC,i=1000000");
    CHECK(Begun{}.challenged("s=QSXC,i=1000001") == outage);

    const auto reply_of = [](std::size_t salt) { return "s=" + std::string(salt, 'A') + ",i=409"; };
    REQUIRE(reply_of(504).size() == decision_reply_bytes_max - 0U);
    CHECK(Begun{}.challenged(reply_of(504)) == "S: r=clientserver," + reply_of(504));
    CHECK(Begun{}.challenged(reply_of(504) + "6") == outage);
}

TEST_CASE("a signature of a backend that makes no sense is an outage", "[sasl][scram]")
{
    for (const auto* reply : {"", "x", "v=AAECAwQFBgcICQoLDA0ODxAREhM=", "AAECAwQFBgcICQoLDA0ODxAREg==",
                              "AAECAwQFBgcICQoLDA0ODxAREhMU", "AAECAwQFBgcICQoLDA0ODxAREhM",
                              "AAECAwQFBgcICQoLDA0ODxAREhM=,x=1"}) {
        Begun begun;
        CHECK(begun.final("c=biws,r=clientserver,p=" + proof) == checked("c=biws,r=clientserver"));
        CHECK(step_text(begun.exchange->take_acceptance(reply)) ==
              "fail: the backend's reply is malformed (user)");
    }
}
