using Kcore.Daemon.Dataplane.Mesh;

namespace Kcore.Daemon.Tests.Dataplane.Mesh;

/// <summary>The vectors of RFC 7748 §5.2 and §6.1.</summary>
public sealed class Curve25519Tests
{
    [Theory]
    [InlineData(
        "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
        "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
        "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552")]
    [InlineData(
        "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
        "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
        "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957")]
    public void A_scalar_times_a_point_is_what_the_standard_says(string scalar, string point, string product) =>
        Assert.Equal(product, Convert.ToHexStringLower(Curve25519.Multiply(Convert.FromHexString(scalar), Convert.FromHexString(point))));

    [Fact]
    public void Two_pairs_agree_on_the_secret_of_the_standard()
    {
        byte[] alice = Convert.FromHexString("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
        byte[] bob = Convert.FromHexString("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
        Assert.Equal("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a", Convert.ToHexStringLower(Curve25519.PublicKey(alice)));
        Assert.Equal("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f", Convert.ToHexStringLower(Curve25519.PublicKey(bob)));
        Assert.Equal("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742", Convert.ToHexStringLower(Curve25519.Multiply(alice, Curve25519.PublicKey(bob))));
        Assert.Equal(Curve25519.Multiply(alice, Curve25519.PublicKey(bob)), Curve25519.Multiply(bob, Curve25519.PublicKey(alice)));
    }

    [Fact]
    public void A_thousand_iterations_end_where_the_standard_says()
    {
        byte[] k = [9, .. new byte[31]], u = k;
        for (int i = 0; i < 1000; i++)
        {
            (k, u) = (Curve25519.Multiply(k, u), k);
        }

        Assert.Equal("684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51", Convert.ToHexStringLower(k));
    }

    [Fact]
    public void The_largest_coordinates_are_reduced()
    {
        // u = 2^255 − 1 is 18 modulo the prime, and the highest bit is not part of it.
        byte[] large = [.. Enumerable.Repeat((byte)0xff, 32)], small = [18, .. new byte[31]];
        byte[] scalar = [.. Enumerable.Range(1, 32).Select(i => (byte)i)];
        Assert.Equal(Curve25519.Multiply(scalar, small), Curve25519.Multiply(scalar, large));
    }
}
