using System.Collections.Immutable;
using Kcore.Daemon.Dataplane.Desired;

namespace Kcore.Daemon.Dataplane.Facts;

/// <summary>
/// Which drops at guests' ports are worth an event: those that grew, at most once in ten minutes for one NIC and reason.
/// What was counted before the first look is no news. Pure: time comes with the status.
/// </summary>
internal sealed class SpoofingEvents
{
    private static readonly TimeSpan _pause = TimeSpan.FromMinutes(10);

    private Dictionary<(string Device, DropReason Reason), (ulong Packets, DateTimeOffset Told)>? _told;

    public ImmutableArray<GuestDrop> New(ReconcileStatus status)
    {
        if (status.Error is not null)
        {
            return [];
        }

        Dictionary<(string, DropReason), (ulong, DateTimeOffset)> told = [];
        List<GuestDrop> news = [];
        foreach (GuestDrop drop in status.Drops)
        {
            (ulong packets, DateTimeOffset at) = _told is null
                ? (drop.Count.Packets, DateTimeOffset.MinValue)
                : _told.TryGetValue((drop.Device, drop.Reason), out (ulong, DateTimeOffset) last) ? last : (0, DateTimeOffset.MinValue);
            bool isNews = drop.Count.Packets > packets && status.At - at >= _pause;
            if (isNews)
            {
                news.Add(drop);
            }

            // A smaller count is another port of that name, or a table made anew.
            told[(drop.Device, drop.Reason)] = isNews ? (drop.Count.Packets, status.At) : (Math.Min(packets, drop.Count.Packets), at);
        }

        _told = told;
        return [.. news];
    }

    public static string Describe(DropReason reason) => reason switch
    {
        DropReason.Mac => "from a MAC that is not its own",
        DropReason.Address => "from an IPv4 address that is not its own",
        DropReason.Arp => "ARP for a MAC or an address that is not its own",
        DropReason.Dhcp => "answers of a DHCP server",
        _ => "advertisements or redirects of an IPv6 router",
    };
}
