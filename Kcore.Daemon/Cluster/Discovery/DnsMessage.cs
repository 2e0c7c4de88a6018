using System.Collections.Immutable;
using System.Net;

namespace Kcore.Daemon.Cluster.Discovery;

/// <summary>Record types of RFC 1035, 2782 and 6762 that discovery deals with.</summary>
internal enum DnsType : ushort
{
    None = 0,
    A = 1,
    Ptr = 12,
    Txt = 16,
    Srv = 33,
    Any = 255,
}

/// <summary>
/// One question. Names are lower case, their labels joined by dots; a dot, a backslash or an unprintable byte inside a
/// label is written as <c>\ddd</c> (RFC 1035 §5.1), so no two different names look alike.
/// </summary>
/// <param name="WantsUnicast">The QU bit (RFC 6762 §5.4).</param>
internal sealed record DnsQuestion(string Name, DnsType Type, bool WantsUnicast = false);

/// <summary>One resource record with the data types discovery knows; others are read over.</summary>
internal abstract record DnsRecord(string Name, TimeSpan TimeToLive)
{
    public sealed record Pointer(string Name, TimeSpan TimeToLive, string Target) : DnsRecord(Name, TimeToLive);

    public sealed record Service(string Name, TimeSpan TimeToLive, ushort Port, string Host) : DnsRecord(Name, TimeToLive);

    public sealed record Text(string Name, TimeSpan TimeToLive, ImmutableArray<string> Strings) : DnsRecord(Name, TimeToLive);

    public sealed record Address(string Name, TimeSpan TimeToLive, IPAddress Value) : DnsRecord(Name, TimeToLive);
}

/// <summary>
/// A DNS message as multicast DNS uses it (RFC 6762 §18). Authority records are known answers' tie-breakers of probing,
/// which random names do not need: they are read over and never written.
/// </summary>
internal sealed record DnsMessage(
    ushort Id,
    bool IsResponse,
    ImmutableArray<DnsQuestion> Questions,
    ImmutableArray<DnsRecord> Answers,
    ImmutableArray<DnsRecord> Additional)
{
    /// <summary>Longest message of RFC 6762 §17, without IP and UDP headers.</summary>
    public const int MaxSize = 8_972;

    public IEnumerable<DnsRecord> Records => Answers.Concat(Additional);
}
