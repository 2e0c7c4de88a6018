using System.Security.Cryptography;
using Kcore.Daemon.Dataplane.Mesh;

namespace Kcore.Daemon.Tests.Dataplane.Mesh;

/// <summary>The pairs of RFC 7748 §6.1.</summary>
public sealed class Curve25519Tests
{
    [Theory]
    [InlineData("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a", "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")]
    [InlineData("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb", "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f")]
    public void A_private_key_has_the_public_key_that_the_standard_says(string secret, string expected)
    {
        byte[] bytes = Convert.FromHexString(secret);
        Assert.Equal(expected, Convert.ToHexStringLower(Curve25519.PublicKey(bytes)));
        Curve25519.Clamp(bytes);
        Assert.Equal(expected, Convert.ToHexStringLower(Curve25519.PublicKey(bytes)));
    }

    [Fact]
    public void What_the_library_refuses_is_an_error_that_the_node_can_tell() =>
        Assert.Throws<CryptographicException>(() => Curve25519.PublicKey(new byte[Curve25519.ByteCount - 1]));

    [Fact]
    public void Clamping_makes_the_form_that_the_standard_says()
    {
        byte[] key = [.. Enumerable.Repeat((byte)0xff, Curve25519.ByteCount)];
        Curve25519.Clamp(key);
        Assert.Equal((0xf8, 0x7f), (key[0], key[^1]));
        key = new byte[Curve25519.ByteCount];
        Curve25519.Clamp(key);
        Assert.Equal((0x00, 0x40), (key[0], key[^1]));
    }
}
