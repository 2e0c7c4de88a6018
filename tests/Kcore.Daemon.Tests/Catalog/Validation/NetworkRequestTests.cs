using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Kcore.Contracts;
using Kcore.Daemon.Catalog;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Catalog.Validation;

namespace Kcore.Daemon.Tests.Catalog.Validation;

public sealed class NetworkRequestTests
{
    private static readonly CreateNetworkRequest Good = new() { Name = "prod", Type = "vxlan", GatewayIp = "10.88.0.1" };

    [Fact]
    public void The_least_a_request_can_say_is_filled_in()
    {
        (string name, NetworkSpec spec) = NetworkRequest.Check(Good);

        Assert.Equal("prod", name);
        Assert.Equal("10.88.0.0/24", spec.Subnet.ToString());
        Assert.Equal("255.255.255.0", spec.Netmask);
        Assert.True(spec.OutboundNat);
        Assert.Equal(NetworkType.Nat, NetworkRequest.Check(Good with { Type = null }).Spec.Type);
    }

    [Theory]
    [InlineData("nat", true)]
    [InlineData("vxlan", true)]
    [InlineData("bridge", false)]
    public void Outbound_NAT_is_on_unless_the_type_is_bridge(string type, bool nat) =>
        Assert.Equal(nat, NetworkRequest.Check(Good with { Type = type }).Spec.OutboundNat);

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData(" \t ")]
    public void Behaviour_76_a_missing_name_is_refused(string? name) => Refused(Good with { Name = name! }, "name is required");

    [Theory]
    [InlineData("a b")]
    [InlineData("prod/1")]
    [InlineData("prod.1")]
    [InlineData("prüf")]
    [InlineData("a\u0000b")]
    [InlineData("a;b")]
    public void Behaviour_77_a_name_with_other_characters_is_refused(string name) => Refused(Good with { Name = name }, "letters, digits");

    [Fact]
    public void A18_a_name_has_at_most_63_characters()
    {
        Assert.Equal(63, NetworkRequest.Check(Good with { Name = new string('a', 63) }).Name.Length);
        Refused(Good with { Name = new string('a', 64) }, "63");
    }

    [Theory]
    [InlineData("default")]
    [InlineData(" default ")]
    [InlineData("DEFAULT")]
    public void Behaviours_78_and_105_the_reserved_name_is_refused_however_it_is_written(string name) => Refused(Good with { Name = name }, "reserved");

    [Fact]
    public void Behaviour_105_blanks_around_values_are_cut_off()
    {
        (string name, NetworkSpec spec) = NetworkRequest.Check(
            Good with { Name = "  prod\t", GatewayIp = " 10.88.0.1 ", InternalNetmask = " 255.255.0.0 ", Type = " VXLAN " });

        Assert.Equal("prod", name);
        Assert.Equal("10.88.0.0/16", spec.Subnet.ToString());
        Assert.Equal(NetworkType.Vxlan, spec.Type);
    }

    [Theory]
    [InlineData("10.88.0")]
    [InlineData("10.88.0.256")]
    [InlineData("010.88.0.1")]
    [InlineData("0x0a.88.0.1")]
    [InlineData("10.88.0.1.")]
    [InlineData("10.88.0.-1")]
    [InlineData("fe80::1")]
    [InlineData("::ffff:10.88.0.1")]
    [InlineData("prod")]
    public void Behaviour_80_what_is_not_IPv4_is_refused_with_the_field_named(string text)
    {
        Refused(Good with { GatewayIp = text }, "gateway-ip");
        Refused(Good with { ExternalIp = text }, "external-ip");
        Refused(Good with { InternalNetmask = text }, "internal-netmask");
    }

    [Theory]
    [InlineData("255.0.255.0")]
    [InlineData("0.255.255.0")]
    [InlineData("0.0.0.255")]
    [InlineData("255.255.253.0")]
    public void Behaviour_81_a_mask_with_gaps_is_refused(string mask) => Refused(Good with { InternalNetmask = mask }, "contiguous");

    [Theory]
    [InlineData("0.0.0.0")]
    [InlineData("254.0.0.0")]
    [InlineData("255.255.255.254")]
    [InlineData("255.255.255.255")]
    public void Behaviour_82_masks_outside_8_to_30_are_refused(string mask) => Refused(Good with { InternalNetmask = mask }, "supported");

    [Theory]
    [InlineData("10.88.0.0", "255.255.255.0")]
    [InlineData("10.88.0.255", "255.255.255.0")]
    [InlineData("10.88.3.255", "255.255.252.0")]
    [InlineData("10.88.0.4", "255.255.255.252")]
    public void Behaviour_83_network_and_broadcast_address_are_no_gateway(string gateway, string mask) =>
        Refused(Good with { GatewayIp = gateway, InternalNetmask = mask }, "gateway");

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("0.1.2.3")]
    [InlineData("224.0.0.1")]
    [InlineData("240.0.0.1")]
    public void Addresses_no_host_can_have_are_no_gateway(string gateway) => Refused(Good with { GatewayIp = gateway }, "gateway-ip");

    [Fact]
    public void Behaviour_84_an_unknown_type_is_refused_with_the_three_named() =>
        Assert.All(["nat", "bridge", "vxlan"], name => Refused(Good with { Type = "gre" }, name));

    [Theory]
    [InlineData(-1)]
    [InlineData(4095)]
    [InlineData(int.MaxValue)]
    [InlineData(int.MinValue)]
    public void Behaviour_85_a_VLAN_outside_its_range_is_refused(int vlan) => Refused(Good with { Type = "bridge", VlanId = vlan }, "4094");

    [Fact]
    public void Behaviour_86_an_overlay_takes_no_VLAN() => Refused(Good with { VlanId = 5 }, "vlan");

    [Theory]
    [InlineData(null, "none")]
    [InlineData("none", "none")]
    [InlineData(" WireGuard ", "wireguard")]
    public void B118_Encryption_is_off_unless_asked_for(string? text, string encryption) =>
        Assert.Equal(encryption, NetworkRequest.Check(Good with { Encryption = text }).Spec.EncryptionName);

    [Fact]
    public void B118_Only_a_vxlan_network_is_encrypted_and_only_by_what_there_is()
    {
        Refused(Good with { Type = "nat", Encryption = "wireguard" }, "only a vxlan network takes encryption");
        Refused(Good with { Type = "bridge", Encryption = "wireguard" }, "only a vxlan network takes encryption");
        Refused(Good with { Encryption = "ipsec" }, "none, wireguard");
    }

    [Theory]
    [InlineData("100.127.192.1")]
    [InlineData("100.127.255.1")]
    public void The_addresses_of_the_mesh_are_nobody_elses(string gateway)
    {
        Refused(Good with { GatewayIp = gateway }, "100.127.192.0/18");
        Refused(Good with { GatewayIp = "100.64.0.1", InternalNetmask = "255.192.0.0" }, "100.127.192.0/18");
        Assert.Equal("100.127.191.0/24", NetworkRequest.Check(Good with { GatewayIp = "100.127.191.1" }).Spec.Subnet.ToString());
    }

    [Fact]
    public void Both_NAT_flags_at_once_are_refused() =>
        Refused(Good with { EnableOutboundNat = true, NoOutboundNat = true }, "exclude each other");

    [Fact]
    public void A20_addresses_come_back_only_where_that_was_asked_for_and_they_are_the_cluster_s()
    {
        CreateNetworkRequest overlay = Good with { Type = "vxlan" };
        Assert.Equal(AddressReuse.Never, NetworkRequest.Check(overlay).Spec.Reuse);
        Assert.Equal(AddressReuse.Never, NetworkRequest.Check(overlay with { AddressReuse = "never" }).Spec.Reuse);
        Assert.Equal(AddressReuse.Quarantine, NetworkRequest.Check(overlay with { AddressReuse = " Quarantine " }).Spec.Reuse);
        Refused(overlay with { AddressReuse = "always" }, "never, quarantine");
        Refused(Good with { Type = "nat", AddressReuse = "quarantine" }, "address-reuse");
    }

    [Fact]
    public void An_emergency_reserve_is_of_an_overlay_and_at_most_half_of_what_guests_can_get()
    {
        CreateNetworkRequest overlay = Good with { Type = "vxlan" };
        Assert.Equal(0, NetworkRequest.Check(overlay).Spec.EmergencyReserve);
        Assert.Equal(4, NetworkRequest.Check(overlay with { EmergencyReserve = 4 }).Spec.EmergencyReserve);
        Assert.Equal(64, NetworkRequest.Check(overlay with { EmergencyReserve = 64 }).Spec.EmergencyReserve);
        Refused(overlay with { EmergencyReserve = 65 }, "between 0 and 64");
        Refused(overlay with { EmergencyReserve = -1 }, "between 0 and 64");
        Refused(Good with { Type = "nat", EmergencyReserve = 1 }, "emergency-reserve");

        // Five guests in a /29, of which the gateway is none; three with two excluded, the gateway among them.
        CreateNetworkRequest small = overlay with { GatewayIp = "10.9.0.1", InternalNetmask = "255.255.255.248" };
        Assert.Equal(2, NetworkRequest.Check(small with { EmergencyReserve = 2 }).Spec.EmergencyReserve);
        Refused(small with { EmergencyReserve = 3 }, "more than half of the 5 addresses");
        Refused(small with { EmergencyReserve = 2, Exclude = ["10.9.0.2-10.9.0.3"] }, "more than half of the 3 addresses");
        Refused(overlay with { GatewayIp = "10.9.0.1", InternalNetmask = "255.255.255.252", EmergencyReserve = 1 }, "more than half of the 1 addresses");
    }

    [Fact]
    public void Behaviour_106_no_bytes_crash_the_validator() =>
        Prop.ForAll(Texts(), Texts(), Texts(), (first, second, third) =>
        {
            // Every field gets each text once; the others are good, so that the check reaches the field.
            foreach (string text in new[] { first, second, third })
            {
                IsChecked(Good with { Name = text });
                IsChecked(Good with { Type = text });
                IsChecked(Good with { GatewayIp = text });
                IsChecked(Good with { ExternalIp = text });
                IsChecked(Good with { InternalNetmask = text });
                IsChecked(Good with { TargetNode = text });
            }

            IsChecked(new CreateNetworkRequest { Name = first, GatewayIp = second, InternalNetmask = third, ExternalIp = first, Type = second });
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void Behaviour_91_two_specifications_differ_in_exactly_the_fields_that_differ()
    {
        NetworkSpec spec = Said.Overlay();
        NetworkSpec other = spec with { PrefixLength = 16, OutboundNat = false, VlanId = 7, TargetNode = "b" };

        Assert.Empty(spec.DifferencesFrom(Said.Overlay()));
        Assert.Equal<IEnumerable<string>>(
            ["internalNetmask: 255.255.255.0 -> 255.255.0.0", "vlanId: 0 -> 7", "enableOutboundNat: true -> false", "targetNode: (none) -> b"],
            other.DifferencesFrom(spec));
    }

    [Theory]
    [InlineData("10.20.0.1", 22, "10.20.0.0/22", "255.255.252.0")]
    [InlineData("10.9.0.5", 24, "10.9.0.0/24", "255.255.255.0")]
    [InlineData("192.168.255.254", 8, "192.0.0.0/8", "255.0.0.0")]
    [InlineData("10.0.0.1", 30, "10.0.0.0/30", "255.255.255.252")]
    public void Subnet_and_mask_follow_from_gateway_and_prefix(string gateway, int prefix, string subnet, string mask)
    {
        NetworkSpec spec = Said.Overlay(gateway, prefix);

        Assert.Equal(subnet, spec.Subnet.ToString());
        Assert.Equal(mask, spec.Netmask);
    }

    /// <summary>0 to 128 bytes read as UTF-8, and texts that look almost right.</summary>
    internal static Arbitrary<string> Texts()
    {
        Gen<string> bytes = from length in Gen.Choose(0, 128)
                            from content in Gen.ArrayOf(Gen.Choose(0, 255).Select(b => (byte)b), length)
                            select Encoding.UTF8.GetString(content);
        Gen<string> likely = from length in Gen.Choose(0, 20)
                             from content in Gen.ArrayOf(Gen.Elements("0123456789.abcdefx:-_ /\0".ToCharArray()), length)
                             select new string(content);
        return Gen.OneOf(bytes, likely).ToArbitrary();
    }

    private static void IsChecked(CreateNetworkRequest request)
    {
        try
        {
            (string name, NetworkSpec spec) = NetworkRequest.Check(request);

            // What was let through must be something every later step can work with.
            Assert.InRange(name.Length, 1, ObjectName.MaxLength);
            Assert.True(spec.Subnet.Contains(spec.Gateway));
            Assert.InRange(spec.PrefixLength, 8, 30);
        }
        catch (RefusedException e)
        {
            Assert.Equal(ErrorCode.InvalidArgument, e.Problem.Code);
            Assert.NotEmpty(e.Problem.Message);
        }
    }

    private static void Refused(CreateNetworkRequest request, string text)
    {
        Problem problem = Assert.Throws<RefusedException>(() => NetworkRequest.Check(request)).Problem;
        Assert.Equal(ErrorCode.InvalidArgument, problem.Code);
        Assert.Contains(text, problem.Message + string.Join(' ', problem.Details), StringComparison.Ordinal);
    }
}
