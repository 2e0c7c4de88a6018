namespace Kcore.Netlink.Tests;

internal static class Hex
{
    /// <summary>Bytes of hexadecimal text; blanks and line ends only group.</summary>
    public static byte[] Bytes(string text) =>
        Convert.FromHexString(string.Concat(text.Where(c => !char.IsWhiteSpace(c))));

    /// <summary>Compares against grouped text, so that a failure shows both in the same shape.</summary>
    public static void Equal(string expected, ReadOnlySpan<byte> actual) =>
        Assert.Equal(Convert.ToHexString(Bytes(expected)), Convert.ToHexString(actual));
}
