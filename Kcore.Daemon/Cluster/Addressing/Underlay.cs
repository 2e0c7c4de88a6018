using Kcore.Daemon.Reconciliation;
using Kcore.Netlink;
using Microsoft.Extensions.Logging;

namespace Kcore.Daemon.Cluster.Addressing;

/// <summary>The advertised address and what its device can carry.</summary>
/// <param name="Mtu">Bytes.</param>
internal sealed record Underlay(AdvertisedAddress.Chosen Advertised, int Mtu);

/// <summary>
/// Watches which address this node is reached at: an observation, never an identity. A host that gets another address
/// re-advertises it and everybody re-points.
/// </summary>
internal sealed partial class UnderlayWatch
{
    private const int Ethernet = 1500;

    private static readonly TimeSpan Pace = TimeSpan.FromSeconds(2);

    private readonly string? _advertise;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;

    private UnderlayWatch(string? advertise, Underlay first, TimeProvider time, ILogger logger)
    {
        _advertise = advertise;
        _time = time;
        _logger = logger;
        Current = new Published<Underlay>(first);
    }

    public Published<Underlay> Current { get; }

    /// <summary>Waits until the host has an address to advertise; at boot that may take a while.</summary>
    public static async Task<UnderlayWatch> StartAsync(string? advertise, TimeProvider time, ILogger logger, CancellationToken token)
    {
        string? told = null;
        while (true)
        {
            (Underlay? underlay, string? refusal) = Look(advertise);
            if (underlay is not null)
            {
                Log.Advertising(logger, underlay.Advertised.Address, underlay.Advertised.Interface, underlay.Advertised.Reason);
                return new UnderlayWatch(advertise, underlay, time, logger);
            }

            if (refusal != told)
            {
                Log.NoAddress(logger, refusal);
                told = refusal;
            }

            await Task.Delay(TimeSpan.FromMilliseconds(500), time, token);
        }
    }

    public async Task RunAsync(CancellationToken stoppingToken)
    {
        while (true)
        {
            await Task.Delay(Pace, _time, stoppingToken);

            // While the host has no address at all it keeps advertising the last one: nobody could use "none".
            if (Look(_advertise).Underlay is { } now && now != Current.Current)
            {
                Log.Advertising(_logger, now.Advertised.Address, now.Advertised.Interface, now.Advertised.Reason);
                Current.Replace(now);
            }
        }
    }

    private static (Underlay? Underlay, string? Refusal) Look(string? advertise)
    {
        try
        {
            return AdvertisedAddress.Choose(HostInterfaceReader.Read(), advertise) switch
            {
                AdvertisedAddress.Chosen chosen => (new Underlay(chosen, MtuOf(chosen.Interface) ?? Ethernet), null),
                AdvertisedAddress.Refused refused => (null, refused.Reason),
                _ => (null, null),
            };
        }
        catch (NetlinkException e)
        {
            return (null, e.Message);
        }
    }

    /// <summary>MTU of a device in bytes; null when there is none of that name.</summary>
    public static int? MtuOf(string device)
    {
        try
        {
            return HostInterfaceReader.MtuOf(device);
        }
        catch (NetlinkException)
        {
            return null;
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1150, LogLevel.Information, "Advertising {Address} of {Device}: {Reason}")]
        public static partial void Advertising(ILogger logger, System.Net.IPAddress address, string device, string reason);

        [LoggerMessage(1151, LogLevel.Warning, "No address to advertise yet: {Reason}")]
        public static partial void NoAddress(ILogger logger, string? reason);
    }
}
