using System.Collections.Immutable;
using System.Net;
using System.Net.Sockets;

namespace Kcore.Daemon.Cluster.Addressing;

/// <summary>The address other nodes are told to reach this one at, or why there is none.</summary>
internal abstract record AdvertisedAddress
{
    private AdvertisedAddress()
    {
    }

    /// <param name="Address">The address.</param>
    /// <param name="Interface">The device that has it.</param>
    /// <param name="Reason">Why this one, as shown by <c>kctl describe node</c>.</param>
    public sealed record Chosen(IPAddress Address, string Interface, string Reason) : AdvertisedAddress;

    /// <param name="Reason">What is in the way and what to do, for log and status.</param>
    public sealed record Refused(string Reason) : AdvertisedAddress;

    /// <summary>
    /// By flag; else the default route's device; else the only usable address. A device that can't lead to another
    /// host is never guessed. The flag may name a bridge of the operator's own making (a host whose card is in a
    /// bridge has its address there), but never a device of Kcore's.
    /// </summary>
    /// <param name="interfaces">Every device of the host.</param>
    /// <param name="advertise">The value of <c>--advertise</c>: an IPv4 address or a device name; null when not given.</param>
    public static AdvertisedAddress Choose(ImmutableArray<HostInterface> interfaces, string? advertise)
    {
        if (!string.IsNullOrEmpty(advertise))
        {
            return ByFlag(interfaces, advertise);
        }

        ImmutableArray<HostInterface> usable =
            [.. interfaces.Where(i => IsGuessable(i) && FirstAddress(i) is not null)];
        HostInterface? routed = usable
            .Where(i => i.DefaultRouteMetric is not null)
            .OrderBy(i => i.DefaultRouteMetric)
            .ThenBy(i => i.Name, StringComparer.Ordinal)
            .FirstOrDefault();
        if (routed is not null)
        {
            return new Chosen(FirstAddress(routed)!, routed.Name, $"the default route goes through {routed.Name}");
        }

        return usable switch
        {
            [{ } only] => new Chosen(FirstAddress(only)!, only.Name, $"{only.Name} is the only device with a usable address"),
            [] => new Refused(NothingUsable(interfaces)),
            _ => new Refused(
                $"no default route, and several devices have an address ({List(usable)}); choose one with --advertise"),
        };
    }

    private static AdvertisedAddress ByFlag(ImmutableArray<HostInterface> interfaces, string advertise)
    {
        bool isAddress = IPAddress.TryParse(advertise, out IPAddress? address)
            && address.AddressFamily == AddressFamily.InterNetwork
            && address.ToString() == advertise;
        HostInterface? device = interfaces.FirstOrDefault(i =>
            isAddress ? i.Addresses.Contains(address!) : string.Equals(i.Name, advertise, StringComparison.Ordinal));
        string flag = $"--advertise {advertise}";
        if (device is null)
        {
            return new Refused(isAddress
                ? $"{flag}: no device has this address ({List(interfaces)})"
                : $"{flag}: there is neither a device nor an IPv4 address of this name ({List(interfaces)})");
        }

        if (device.Kind == InterfaceKind.Loopback || InterfaceNames.IsOwn(device.Name))
        {
            return new Refused($"{flag}: {device.Name} does not lead to other hosts");
        }

        if (!device.IsUp)
        {
            return new Refused($"{flag}: {device.Name} is down");
        }

        return (isAddress ? address : FirstAddress(device)) is { } chosen
            ? new Chosen(chosen, device.Name, $"chosen by {flag}")
            : new Refused($"{flag}: {device.Name} has no IPv4 address");
    }

    private static bool IsGuessable(HostInterface device) =>
        device.IsUp && device.Kind == InterfaceKind.Link && !InterfaceNames.IsVirtual(device.Name);

    private static string NothingUsable(ImmutableArray<HostInterface> interfaces)
    {
        // The commonest cause on a hypervisor deserves its own advice.
        HostInterface? bridge = interfaces
            .Where(i => i is { Kind: InterfaceKind.Bridge, IsUp: true, DefaultRouteMetric: not null }
                && !InterfaceNames.IsVirtual(i.Name) && FirstAddress(i) is not null)
            .OrderBy(i => i.DefaultRouteMetric)
            .FirstOrDefault();
        return bridge is null
            ? $"no device that leads to other hosts has an IPv4 address ({List(interfaces)})"
            : $"the default route goes through the bridge {bridge.Name}, which is not guessed to lead to other hosts; " +
              $"if it does, say --advertise {bridge.Name}";
    }

    // Link-local addresses (RFC 3927) mean that no address was given.
    private static IPAddress? FirstAddress(HostInterface device) => device.Addresses.FirstOrDefault(address =>
        address.GetAddressBytes() is var bytes && bytes[0] is > 0 and < 224 and not 127 && bytes is not [169, 254, ..]);

    private static string List(ImmutableArray<HostInterface> interfaces)
    {
        const int Shown = 8;
        string[] named = [.. interfaces.Where(i => i.Addresses.Length > 0).Select(i => $"{i.Name} {i.Addresses[0]}")];
        return named.Length switch
        {
            0 => "none is there",
            <= Shown => string.Join(", ", named),
            _ => $"{string.Join(", ", named.Take(Shown))} and {named.Length - Shown} more",
        };
    }
}
