using System.Text;

namespace Kcore.Netlink.Route;

/// <summary>What the kernel takes as the name of a link (dev_valid_name in net/core/dev.c).</summary>
public static class LinkName
{
    /// <summary>IFNAMSIZ without the terminating zero.</summary>
    public const int BytesMax = 15;

    /// <summary>ALTIFNAMSIZ without the terminating zero.</summary>
    public const int AlternativeBytesMax = 127;

    public static bool IsValid(string? name) => IsValid(name, BytesMax);

    internal static void Check(string name) => Check(name, BytesMax);

    internal static void CheckAlternative(string name) => Check(name, AlternativeBytesMax);

    private static void Check(string name, int bytesMax)
    {
        if (!IsValid(name, bytesMax))
        {
            throw new ArgumentException($"'{name}' cannot be the name of a link.", nameof(name));
        }
    }

    // A '%' is refused although the kernel takes it: in a creation message it would be a pattern for a number.
    private static bool IsValid(string? name, int bytesMax) =>
        name is not (null or "" or "." or "..")
        && Encoding.UTF8.GetByteCount(name) <= bytesMax
        && !name.Any(c => c is '/' or ':' or '%' || char.IsWhiteSpace(c) || char.IsControl(c));
}
