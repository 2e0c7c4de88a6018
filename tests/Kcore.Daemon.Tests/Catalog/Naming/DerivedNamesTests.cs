using System.Net.NetworkInformation;
using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Kcore.Daemon.Catalog.Naming;

namespace Kcore.Daemon.Tests.Catalog.Naming;

public sealed class DerivedNamesTests
{
    [Theory]
    [InlineData("prod", 14458, "vxlan14458", "kbr-prod")]
    [InlineData("private", 14416, "vxlan14416", "kbr-private")]
    [InlineData("lan", 13920, "vxlan13920", "kbr-lan")]
    [InlineData("a", 13670, "vxlan13670", "kbr-a")]
    public void Behaviours_1_3_and_4_hold_for_the_worked_values(string network, uint vni, string device, string bridge)
    {
        Assert.Equal(vni, DerivedNames.Vni(network));
        Assert.Equal(device, DerivedNames.VxlanDevice(vni));
        Assert.Equal(bridge, DerivedNames.Bridge(network));
    }

    [Theory]
    [InlineData("overlay", "overlay0")]
    [InlineData("app", "back")]
    public void Some_names_share_a_VNI_which_A4_is_about(string one, string other) =>
        Assert.Equal(DerivedNames.Vni(one), DerivedNames.Vni(other));

    [Fact]
    public void Behaviour_1_a_VNI_lies_in_its_range_and_follows_the_formula_for_every_name() =>
        Prop.ForAll(ArbMap.Default.ArbFor<string>().Filter(s => s is not null), name =>
        {
            // The formula once more, in numbers so wide that nothing wraps by accident.
            UInt128 hash = 5381;
            foreach (byte b in Encoding.UTF8.GetBytes(name))
            {
                hash = ((hash * 33) + b) % (1UL << 32);
            }

            uint vni = DerivedNames.Vni(name);
            return vni == 10_000 + (uint)(hash % 6_000) && vni is >= 10_000 and <= 15_999;
        }).QuickCheckThrowOnFailure();

    [Theory]
    [InlineData("elevenchars", "kbr-elevenchars")]
    [InlineData("twelve-chars", "kb-8dd1fe39")]
    public void Behaviours_4_and_5_a_name_too_long_for_the_kernel_is_hashed_never_cut(string network, string bridge) =>
        Assert.Equal(bridge, DerivedNames.Bridge(network));

    [Fact]
    public void Every_derived_device_name_is_one_the_kernel_takes() =>
        Prop.ForAll(Names().ToArbitrary(), name =>
            DeviceName.IsUsable(DerivedNames.Bridge(name))
            && DeviceName.IsUsable(DerivedNames.VxlanDevice(DerivedNames.Vni(name)))
            && DeviceName.IsUsable(DerivedNames.Tap(name))
            && DeviceName.IsUsable(DerivedNames.NamespacePort(name))).QuickCheckThrowOnFailure();

    [Theory]
    [InlineData(0, "tap-0b9d9f06", "52:54:00:0b:9d:9f")]
    [InlineData(1, "tap-768da336", "52:54:00:76:8d:a3")]
    public void Behaviour_6_TAP_and_MAC_of_a_NIC_follow_from_VM_and_index(int index, string tap, string mac)
    {
        string seed = DerivedNames.NicSeed("web-01", index);

        Assert.Equal(tap, DerivedNames.Tap(seed));
        Assert.Equal(mac, DerivedNames.MacText(DerivedNames.Mac(seed)));
    }

    [Fact]
    public void A_MAC_is_spelled_with_colons_in_lower_case() =>
        Assert.Equal("02:6b:00:00:38:7a", DerivedNames.MacText(new PhysicalAddress([0x02, 0x6B, 0, 0, 0x38, 0x7A])));

    [Theory]
    [InlineData("")]
    [InlineData(".")]
    [InlineData("..")]
    [InlineData("all")]
    [InlineData("default")]
    [InlineData("a/b")]
    [InlineData("a b")]
    [InlineData("eth0:1")]
    [InlineData("sixteen-letters-")]
    [InlineData("eth0\n")]
    public void What_the_kernel_or_a_path_would_misread_is_no_device_name(string name) => Assert.False(DeviceName.IsUsable(name));

    internal static Gen<string> Names() =>
        from length in Gen.Choose(1, 63)
        from letters in Gen.ArrayOf(Gen.Elements("abcXYZ019_-".ToCharArray()), length)
        select new string(letters);
}
