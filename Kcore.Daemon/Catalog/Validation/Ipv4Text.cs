using System.Diagnostics.CodeAnalysis;
using System.Net;

namespace Kcore.Daemon.Catalog.Validation;

/// <summary>
/// An IPv4 address as people write it: four plain numbers. <see cref="IPAddress"/> also reads "10", "0x7f.1" and takes
/// "010.1.1.1" for octal, so that a typing error becomes another address.
/// </summary>
internal static class Ipv4Text
{
    public static bool TryParse(string text, [NotNullWhen(true)] out IPAddress? address)
    {
        address = null;
        return text.Split('.') is { Length: 4 } parts
            && parts.All(p => p.Length is >= 1 and <= 3 && p.All(char.IsAsciiDigit) && (p.Length == 1 || p[0] != '0'))
            && IPAddress.TryParse(text, out address);
    }
}
