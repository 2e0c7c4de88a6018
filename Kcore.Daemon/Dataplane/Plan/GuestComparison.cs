using Kcore.Daemon.Dataplane.Observed;

namespace Kcore.Daemon.Dataplane.Plan;

/// <summary>Compares a guest interface with what it should be.</summary>
internal static class GuestComparison
{
    public static GuestFaults Faults(GuestInterface wanted, GuestView.Interface seen)
    {
        GuestFaults faults = GuestFaults.None;
        faults |= seen.Mac.Equals(wanted.Mac) ? GuestFaults.None : GuestFaults.Mac;
        faults |= seen.Mtu == wanted.Mtu ? GuestFaults.None : GuestFaults.Mtu;
        faults |= seen.Up ? GuestFaults.None : GuestFaults.Down;
        faults |= seen.LoopbackUp ? GuestFaults.None : GuestFaults.LoopbackDown;
        faults |= wanted.Address is null || seen.Addresses.Any(a => IsWanted(wanted, a)) ? GuestFaults.None : GuestFaults.Address;
        faults |= seen.Addresses.Any(a => IsStale(wanted, a)) ? GuestFaults.StaleAddress : GuestFaults.None;
        faults |= wanted.Address is null || HasDefaultRoute(wanted, seen) ? GuestFaults.None : GuestFaults.DefaultRoute;
        return faults;
    }

    public static bool IsStale(GuestInterface wanted, GuestAddress address) => address.Ours && !IsWanted(wanted, address);

    private static bool IsWanted(GuestInterface wanted, GuestAddress address) =>
        address.Local.Equals(wanted.Address) && address.PrefixLength == wanted.PrefixLength;

    /// <summary>A default route somebody else made is left alone, wherever it leads; ours must lead to the gateway.</summary>
    private static bool HasDefaultRoute(GuestInterface wanted, GuestView.Interface seen) =>
        seen.DefaultRoutes.Any(r => !r.Ours || wanted.Gateway.Equals(r.Gateway));
}
