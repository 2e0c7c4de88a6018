using Kcore.Daemon.Catalog.Facts;

namespace Kcore.Daemon.Ipam;

/// <summary>Bounds of the emergency reserve.</summary>
public static class ReserveLimits
{
    /// <summary>Most addresses that are parked for one node on one network.</summary>
    public const int PerNodeMax = NetworkSpec.EmergencyReserveMax;
}
