using System.Collections.Immutable;
using System.Globalization;
using System.Net;

namespace Kcore.Daemon.Dataplane.Desired;

/// <summary>Subnets as nftables elements.</summary>
internal static class Subnets
{
    /// <summary>The subnet an address lies in.</summary>
    public static IPNetwork Of(IPAddress address, int prefixLength)
    {
        byte[] bytes = address.GetAddressBytes();
        for (int i = 0; i < bytes.Length; i++)
        {
            int bits = Math.Clamp(prefixLength - (i * 8), 0, 8);
            bytes[i] &= (byte)(0xff << (8 - bits));
        }

        return new IPNetwork(new IPAddress(bytes), prefixLength);
    }

    /// <summary>As nft lists it: a single address has no length.</summary>
    public static string Element(IPNetwork subnet) =>
        subnet.PrefixLength == subnet.BaseAddress.GetAddressBytes().Length * 8
            ? subnet.BaseAddress.ToString()
            : string.Create(CultureInfo.InvariantCulture, $"{subnet.BaseAddress}/{subnet.PrefixLength}");

    /// <summary>
    /// The elements as a set. Interval sets refuse overlapping elements and a subnet inside another adds
    /// nothing, so only the widest stay (two CIDR blocks are nested or apart, never half over each other).
    /// </summary>
    public static ImmutableSortedSet<string> Collapse(IEnumerable<string> elements, NftSkeleton.SetDefinition set)
    {
        ImmutableSortedSet<string> all = elements.ToImmutableSortedSet(StringComparer.Ordinal);
        if (!set.Interval || all.Count < 2)
        {
            return all;
        }

        // "inside" sets pair each subnet with itself, so the first subnet decides for them too; what stands before it
        // (a device) keeps elements apart.
        int part = Array.FindIndex(set.Type.Split(" . "), t => t is "ipv4_addr" or "ipv6_addr");
        (string Element, string Before, IPNetwork Subnet)[] parsed =
            [.. all.Select(e => e.Split(" . ") is var parts ? (e, string.Join(" . ", parts[..part]), Parse(parts[part])) : default)];
        return [.. parsed
            .Where(inner => !Array.Exists(parsed, outer =>
                outer.Before == inner.Before && outer.Subnet.PrefixLength < inner.Subnet.PrefixLength && outer.Subnet.Contains(inner.Subnet.BaseAddress)))
            .Select(p => p.Element)];
    }

    private static IPNetwork Parse(string element) =>
        element.Contains('/')
            ? IPNetwork.Parse(element)
            : IPAddress.Parse(element) is var address
                ? new IPNetwork(address, address.GetAddressBytes().Length * 8)
                : default;
}
