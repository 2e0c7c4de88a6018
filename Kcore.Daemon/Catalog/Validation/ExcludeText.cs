using System.Collections.Immutable;
using System.Net;
using Kcore.Contracts;
using Kcore.Daemon.Catalog.Facts;

namespace Kcore.Daemon.Catalog.Validation;

/// <summary>Addresses never given out, as people write them: <c>10.250.0.10</c>, <c>10.250.0.10-10.250.0.20</c>.</summary>
internal static class ExcludeText
{
    /// <exception cref="RefusedException">InvalidArgument naming the field.</exception>
    public static AddressRanges Parse(ImmutableArray<string> texts, IPNetwork subnet, IPAddress gateway)
    {
        if (texts.IsDefaultOrEmpty)
        {
            return AddressRanges.None;
        }

        var excluded = AddressRanges.Of(texts.Select(t => Range((t ?? "").Trim(), subnet)));
        if (excluded.Count > AddressRanges.MaxAddresses)
        {
            throw Invalid($"exclude: a network excludes at most {AddressRanges.MaxAddresses} addresses", $"given: {excluded.Count}");
        }

        if (excluded.Ranges.Length > AddressRanges.MaxRanges)
        {
            throw Invalid($"exclude: a network excludes at most {AddressRanges.MaxRanges} separate ranges", $"given: {excluded.Ranges.Length}");
        }

        return LeavesAny(excluded, subnet, gateway)
            ? excluded
            : throw Invalid("exclude leaves no address for a guest", $"exclude: {Shown(excluded.ToString())}");
    }

    private static AddressRange Range(string text, IPNetwork subnet)
    {
        string[] ends = text.Length <= 64 ? text.Split('-', 3) : [];
        if (ends.Length is not (1 or 2)
            || !Ipv4Text.TryParse(ends[0].Trim(), out IPAddress? first)
            || !Ipv4Text.TryParse(ends[^1].Trim(), out IPAddress? last))
        {
            throw Invalid("exclude must be an IPv4 address or two with '-' between them", $"exclude: {Shown(text)}", "--exclude A.B.C.D, or --exclude A.B.C.D-E.F.G.H");
        }

        if (!subnet.Contains(first) || !subnet.Contains(last))
        {
            throw Invalid($"exclude is not inside the subnet {subnet}", $"exclude: {text}");
        }

        var range = new AddressRange(AddressRange.ToNumber(first), AddressRange.ToNumber(last));
        return range.First <= range.Last ? range : throw Invalid("exclude ends before it begins", $"exclude: {text}");
    }

    /// <summary>Looks at no more addresses than are taken, and one.</summary>
    private static bool LeavesAny(AddressRanges excluded, IPNetwork subnet, IPAddress gateway)
    {
        uint network = AddressRange.ToNumber(subnet.BaseAddress);
        uint broadcast = network + (uint.MaxValue >> subnet.PrefixLength);
        HashSet<uint> taken = [AddressRange.ToNumber(gateway), .. excluded.Addresses().Select(AddressRange.ToNumber)];
        for (uint number = network + 1; number < broadcast; number++)
        {
            if (!taken.Contains(number))
            {
                return true;
            }
        }

        return false;
    }

    private static string Shown(string text) => text.Length <= 64 ? text : text[..64] + "…";

    private static RefusedException Invalid(string message, string detail, string? next = null) => new(ErrorCode.InvalidArgument, message, [detail], next);
}
